"""Metrics, one per file, with their intervals."""
