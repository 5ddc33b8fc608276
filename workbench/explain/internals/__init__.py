"""What happens inside a model: heads, layers, the logit lens, activation patching, queries and keys."""
