"""The registries of named attacks, defenses, models and datasets, built-in or from plugins."""

import importlib
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules

from ... import attacks, datasets, defenses, models  # noqa: F401 (importing registers the names)
from ...core.python_objects import imported, load_file
from ...core.registry import Registry
from ...core.registry import attacks as attack_registry
from ...core.registry import datasets as dataset_registry
from ...core.registry import defenses as defense_registry
from ...core.registry import models as model_registry

REGISTRIES: dict[str, Registry] = {
    "attacks": attack_registry,
    "defenses": defense_registry,
    "models": model_registry,
    "datasets": dataset_registry,
}


def load_plugins(files: list[Path]) -> None:
    """Import every plugin, which registers its names.

    Plugins are the modules in `attacks/` and `defenses/`, the entry points `foolbench.plugins` of installed packages,
    and the given files. Raises ConfigError, with the plugin and the reason, if one cannot be imported.
    """
    for package in (attacks, defenses):
        for module in iter_modules(package.__path__, prefix=f"{package.__name__}."):
            if not module.name.rpartition(".")[2].startswith("_"):
                imported(f"module {module.name}", partial(importlib.import_module, module.name))
    for point in entry_points(group="foolbench.plugins"):
        imported(f"plugin {point.name!r} ({point.value})", point.load)
    for file in files:
        load_file(file)
