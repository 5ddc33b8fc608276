"""What the loop is made of: steps, optimizer, state, checkpoints, meter."""
