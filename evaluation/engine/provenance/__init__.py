"""What made a run's numbers: versions, hardware, images."""
