"""How it is run: the grid, its systems, crafting and scoring."""
