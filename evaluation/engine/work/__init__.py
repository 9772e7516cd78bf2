"""What there is to do for a run, as values that any process can carry out by name, and how far it is."""
