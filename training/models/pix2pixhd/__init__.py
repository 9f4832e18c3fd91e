"""The generator that gives one person another person's expression (pix2pixHD)."""
