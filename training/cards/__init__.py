"""The model card: its data, its text, its tables."""
