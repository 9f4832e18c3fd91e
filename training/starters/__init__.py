"""Small weights we trained ourselves, and how they are stored."""
