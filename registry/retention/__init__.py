"""Retention: what of the store is old and needed by nobody, and how it is deleted for good."""
