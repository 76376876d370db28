"""Figures about runs and models, as functions of plain arrays: heads, word alignment, score decomposition, cost."""
