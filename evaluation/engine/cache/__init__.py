"""What was crafted and learned, kept for the run itself, or for all runs of a user."""
