"""The crash-safe record of finished work."""
