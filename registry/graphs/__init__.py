"""Exported networks: how they are written, checked and loaded again."""
