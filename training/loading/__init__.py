"""Prepared faces as training batches, and their augmentation."""
