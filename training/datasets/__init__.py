"""Sources of faces, and the one form in which training reads them."""
