"""Train the models and leave versions in the registry."""
