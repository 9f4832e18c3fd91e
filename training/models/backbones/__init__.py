"""Networks from a face to a vector, the pair whose difference is the deviation, and weights."""
