"""What training and demo agree on: catalog, faces, photos, versions."""
