"""Load and check the inputs of a run before any work: recipes from files, and data sets by name."""
