"""Manage memory: batches that fit, images that are read ahead, and predictions that are remembered."""
