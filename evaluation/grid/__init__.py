"""The grid that a recipe spans: its evaluation images, its jobs and cells, named by content, and the rows they make."""
