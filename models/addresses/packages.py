"""Packages that only some addresses need."""

import importlib
from types import ModuleType

from ...core.errors import ConfigError


def package(name: str, needed_by: str, install: str) -> ModuleType:
    """The module of a package. Raises ConfigError where it is not installed, saying how to."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise ConfigError(
            f"{needed_by} needs the package {missing}, which is not installed: pip install {install}."
        ) from None
