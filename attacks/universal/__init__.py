"""Universal attacks: one perturbation for every image."""

from .gd_uap import GDUAP as GDUAP
