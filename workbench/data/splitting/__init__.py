"""Split data into train, validation and test: sizes, groups, and labels in every split."""
