"""pytest: the cells of recipes as tests, gates and a baseline that fail them, and a fixture for one's own tests."""
