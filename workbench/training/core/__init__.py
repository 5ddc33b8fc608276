"""What the loop is made of (steps, optimizer, state, checkpoints, meter), and what it runs on and costs."""
