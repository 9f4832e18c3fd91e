"""Search by expression: the photos of a folder whose faces look most like a photo's."""
