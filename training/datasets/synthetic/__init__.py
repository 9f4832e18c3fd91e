"""Faces that are drawn or rendered: no data needed, and identity and expression known exactly."""
