"""Load the networks of a run, fit the defenses that learn, and build the bare and defended systems."""
