"""The command line: `foolbench run`, `report`, `compare`, `verify`, `plan` and the other commands."""
