"""Short videos: the emotions of the faces in them over time."""
