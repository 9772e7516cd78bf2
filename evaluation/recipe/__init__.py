"""Recipes, which say what to run, and the registries and plugins that resolve the names in them."""
