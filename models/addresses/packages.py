"""Import of optional packages, which only some addresses need."""

import importlib
from types import ModuleType

from ...core.errors import ConfigError


def package(name: str, needed_by: str, install: str) -> ModuleType:
    """Import a package; raises ConfigError, which says how to install it, if it is missing or broken."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        wanted = install if missing == name.partition(".")[0] else missing
        raise ConfigError(
            f"{needed_by} needs the package {missing}, which is not installed: pip install {wanted}."
        ) from None
    except ImportError as error:  # incompatible versions
        raise ConfigError(f"{needed_by} needs the package {name}, which cannot be imported: {error}.") from error
