"""Packages that only some addresses need."""

import importlib
from types import ModuleType

from ...core.errors import ConfigError


def package(name: str, needed_by: str, install: str) -> ModuleType:
    """The module of a package. Raises ConfigError where it is not installed, saying how to."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        wanted = install if missing == name.partition(".")[0] else missing
        raise ConfigError(
            f"{needed_by} needs the package {missing}, which is not installed: pip install {wanted}."
        ) from None
    except ImportError as error:  # versions that do not go together
        raise ConfigError(f"{needed_by} needs the package {name}, which cannot be imported: {error}.") from error
