"""A reader for each data set, and what readers share."""
