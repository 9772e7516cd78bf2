"""What a recipe spans: which images, the jobs and cells of its grid by content, the rows that come of them."""
