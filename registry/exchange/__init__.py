"""A version as a folder that other programs can use, and other registries can import."""
