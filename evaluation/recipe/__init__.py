"""What to run: recipes, and the plugins that give names to what they name."""
