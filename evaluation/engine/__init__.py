"""The engine that runs a grid: its networks and defenses, crafting and scoring."""
