"""Everything that has a name: the built-in attacks, defenses, models and datasets, and those of plugins."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

from ... import attacks, datasets, defenses, models  # noqa: F401 (importing registers the names)
from ...core.errors import FOREIGN, ConfigError, one_line
from ...core.registry import Registry
from ...core.registry import attacks as attack_registry
from ...core.registry import datasets as dataset_registry
from ...core.registry import defenses as defense_registry
from ...core.registry import models as model_registry

T = TypeVar("T")

REGISTRIES: dict[str, Registry] = {
    "attacks": attack_registry,
    "defenses": defense_registry,
    "models": model_registry,
    "datasets": dataset_registry,
}


def load_plugins(files: list[Path]) -> None:
    """Import what registers names: modules put into `attacks/` and `defenses/`, the entry points `foolbench.plugins`
    of installed packages, and the given files.

    Raises ConfigError for a plugin that cannot be imported, saying which and why.
    """
    for package in (attacks, defenses):
        for module in iter_modules(package.__path__, prefix=f"{package.__name__}."):
            if not module.name.rpartition(".")[2].startswith("_"):
                _imported(f"module {module.name}", partial(importlib.import_module, module.name))
    for point in entry_points(group="foolbench.plugins"):
        _imported(f"plugin {point.name!r} ({point.value})", point.load)
    for file in files:
        load_file(file)


def load_file(file: Path) -> ModuleType:
    """The module of a file, the one that is imported already where there is one.

    Raises ConfigError where it cannot be imported, saying why.
    """
    if not file.is_file():
        raise ConfigError(f"Expected a Python file, found none at {file}.")
    known = _module_of(file)
    if known is not None:
        return known
    name = f"foolbench_plugin_{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"Expected a Python file, got {file}.")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        _imported(f"plugin {file}", lambda: loader.exec_module(module))
    except ConfigError:
        del sys.modules[name]
        raise
    return module


def _module_of(file: Path) -> ModuleType | None:
    """What is imported from a file: it may belong to an installed plugin, or to foolbench itself."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str) and Path(path).name == file.name and Path(path).resolve() == file.resolve():
            return module
    return None


def _imported(what: str, load: Callable[[], T]) -> T:
    try:
        return load()
    except FOREIGN as error:
        raise ConfigError(f"The {what} cannot be imported: {one_line(error)}.") from error
