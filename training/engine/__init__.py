"""One training: recipe, task, loop, checkpoints, optimisers, tracking, inference."""
