"""The maker of a row: the versions, the commit and the hardware of this process."""

import os
import platform
import subprocess
from pathlib import Path

import torch

from ...ledger.ledger import Maker
from ...recipe.recipe import Recipe
from .versions import versions


def maker(recipe: Recipe, device: str) -> Maker:
    """Return the maker of this process, with the libraries of the recipe's networks and data, if imported by now."""
    return {
        "versions": versions([recipe.dataset.name, *(entry.name for entry in recipe.networks.values())]),
        "commit": _commit(),
        "hardware": {
            "device": device_name(device),
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
        },
    }


def device_name(device: str) -> str:
    """Return the name of a device; for a GPU that of its model, not "cuda:0"."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def _commit() -> str | None:
    """Return the commit of the git checkout that this code runs from, or None if there is none."""
    root = next((folder for folder in Path(__file__).parents if (folder / "pyproject.toml").is_file()), None)
    if root is None or not (root / ".git").exists():
        return None
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
