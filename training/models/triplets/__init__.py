"""Triplets: sampling from labels, annotated triplets, loss, and the task of DLN and FECNet."""
