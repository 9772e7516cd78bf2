"""Certified robustness, where it is known exactly: how far images are from the decision boundary of linear models."""

from .linear import LinearClassifier as LinearClassifier
