"""Small networks that we trained ourselves and ship: weights, run cards and measurements."""
