"""Faces that are drawn or rendered: no data needed, exact ground truth."""
