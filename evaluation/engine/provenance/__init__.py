"""The provenance of a run's numbers: versions, hardware and images."""
