"""The work of a run as values that any process can carry out by name, with its order and progress."""
