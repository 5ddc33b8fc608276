"""Labels and tags: lists of them, their spelling, rare ones, and how tags are written."""
