"""What is in memory, and for how long: images to come, as many at a time as fit, answers that are needed again."""
