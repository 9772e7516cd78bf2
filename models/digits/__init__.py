"""Small networks for the handwritten digits."""
