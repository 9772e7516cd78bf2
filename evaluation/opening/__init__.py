"""What a run is given, checked before any work: recipes from their files, data sets by their names."""
