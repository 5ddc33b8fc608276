"""The commands, a file each or for a small group of them."""
