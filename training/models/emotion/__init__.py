"""Seven emotions and contempt, read from a DLN's deviation."""
