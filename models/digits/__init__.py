"""A small network for the handwritten digits."""
