"""Adversarial images and universal perturbations: crafted, stored as an attacker could, carried to other networks."""
