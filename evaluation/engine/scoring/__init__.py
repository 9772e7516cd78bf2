"""Evaluate systems on clean and adversarial images, and compute their scores."""
