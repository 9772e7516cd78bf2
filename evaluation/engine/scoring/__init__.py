"""What systems answer to clean and to attacked images, and what that comes to."""
