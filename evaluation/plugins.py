"""Everything that has a name: the built-in attacks, defenses, models and datasets, and those of plugins."""

import hashlib
import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from .. import attacks, datasets, defenses, models  # noqa: F401 (importing registers the names)
from ..core.errors import ConfigError
from ..core.registry import Registry
from ..core.registry import attacks as attack_registry
from ..core.registry import datasets as dataset_registry
from ..core.registry import defenses as defense_registry
from ..core.registry import models as model_registry

REGISTRIES: dict[str, Registry] = {
    "attacks": attack_registry,
    "defenses": defense_registry,
    "models": model_registry,
    "datasets": dataset_registry,
}


def load_plugins(files: list[Path]) -> None:
    """Import the modules behind the entry points `foolbench.plugins` and the given files, which register their names.

    Raises ConfigError for a plugin that cannot be imported, saying which and why.
    """
    for point in entry_points(group="foolbench.plugins"):
        try:
            point.load()
        except (Exception, SystemExit) as error:  # foreign code: whatever it raises is the message
            raise ConfigError(f"The plugin {point.name!r} ({point.value}) cannot be imported: {error!r}.") from error
    for file in files:
        load_file(file)


def load_file(file: Path) -> ModuleType:
    """The module of a file. Raises ConfigError where it cannot be imported, saying why."""
    if not file.is_file():
        raise ConfigError(f"Expected a Python file for --plugin, found none at {file}.")
    name = f"foolbench_plugin_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    if name in sys.modules:  # its names are registered
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"Expected a Python file for --plugin, got {file}.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # foreign code: whatever it raises is the message
        del sys.modules[name]
        raise ConfigError(f"The plugin {file} cannot be imported: {error!r}.") from error
    return module
