"""Ray-traced still lifes with exact ground truth for recognition, segmentation and depth."""
