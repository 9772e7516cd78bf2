"""Ray-marched still lifes with exact ground truth for three tasks."""
