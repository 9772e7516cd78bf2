"""What no attack can do, where it is known: the distances of linear classifiers."""

from .linear import LinearClassifier as LinearClassifier
