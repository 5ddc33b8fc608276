"""Linear heads that are solved instead of trained, and the baseline that they are."""
