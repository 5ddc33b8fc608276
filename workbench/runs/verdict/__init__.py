"""What a result is worth: its score beside simple baselines, and whether it is ready to use."""
