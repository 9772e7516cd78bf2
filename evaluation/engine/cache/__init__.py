"""Keep what was crafted and learned, for one run or for all runs of a user."""
