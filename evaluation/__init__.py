"""The harness: from a recipe to a table."""
