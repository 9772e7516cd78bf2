"""Adversarial images and universal perturbations: crafted, stored as an attacker could, moved to other networks."""
