"""FECNet, the baseline: an expression embedding on frozen face recognition features."""
