"""The page and its command-line twin."""
