"""Recognition networks for the scenes, in the families that the seed papers attack."""
