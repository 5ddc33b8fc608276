"""Baselines: what text models were before the Transformer, as runs like any other."""
