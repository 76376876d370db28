"""Charts as plain values, made from arrays and labels: no state, no model, no screen."""
