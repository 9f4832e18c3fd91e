"""A folder for each model, and what they share: backbones and triplets."""
