"""Networks that turn a face into a vector, and the pair whose difference is the expression."""
