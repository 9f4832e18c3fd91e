"""Metrics, one a file, with their intervals."""
