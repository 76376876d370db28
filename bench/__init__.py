"""What looking inside costs: every figure a ratio within one run, or milliseconds beside something trivial."""
