"""What a run will cost on a device: measured on a few images, and added up."""
