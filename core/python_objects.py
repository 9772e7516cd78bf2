"""Objects in the user's own Python code, by a file, `FILE.py:NAME` or `package.module:NAME`."""

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar, cast

from .errors import ConfigError, UnknownNameError, foreign_errors, one_line
from .files import is_file

T = TypeVar("T")

_PREFIX = "foolbench_plugin_"


class _AsItIsNow(SourceFileLoader):
    """A loader that compiles a file at every import: a bytecode cache misses edits of equal size within a second."""

    imported: bytes | None = None
    """The text that was compiled; None before."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        self.imported = self.get_data(path)
        return self.source_to_code(self.imported, path)


def load_file(file: Path) -> ModuleType:
    """Import a Python file and return its module, or the module that is imported from it already.

    Raises ConfigError if it cannot be imported, or has been edited since.
    """
    if not is_file(file):
        raise ConfigError(f"Expected a Python file, found none at {file}.")
    if file.suffix != ".py":
        raise ConfigError(f"Expected a Python file, *.py, got {file}.")
    known = _module_of(file)
    if known is not None:
        _check_unchanged(known, file)
        return known
    name = f"{_PREFIX}{file.stem}_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:8]}"
    loader = _AsItIsNow(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    module = importlib.util.module_from_spec(cast(ModuleSpec, spec))  # None for unknown suffixes only
    sys.modules[name] = module  # dataclasses look their module up by name
    try:
        imported(f"plugin {file}", lambda: loader.exec_module(module))
    except ConfigError:
        del sys.modules[name]
        raise
    return module


def loaded_files() -> list[Path]:
    """Return the files that `load_file` has imported in this process, in that order."""
    modules = [module for name, module in sys.modules.items() if name.startswith(_PREFIX)]
    return [Path(module.__file__) for module in modules if module.__file__]


def imported(what: str, load: Callable[[], T]) -> T:
    """Return the result of `load()`. Raises ConfigError if it fails; `what` names it in the message."""
    try:
        return load()
    except foreign_errors() as error:  # whatever it raises is the message
        raise ConfigError(f"The {what} cannot be imported: {one_line(error)}.") from error


def names_an_object(address: str) -> bool:
    """Return whether an address is FILE.py:NAME, package.module:NAME, or package:NAME of an importable package."""
    module, colon, name = address.rpartition(":")
    if not colon or not name:
        return False
    if module.endswith(".py"):
        return True
    if not all(part.isidentifier() for part in module.split(".")):
        return False
    return "." in module or importlib.util.find_spec(module) is not None


def find_object(address: str) -> Any:
    """Return the object at FILE.py:NAME or package.module:NAME. Raises ConfigError if there is none."""
    where, _, name = address.rpartition(":")
    if where.endswith(".py"):
        module = load_file(Path(where))
    else:
        module = imported(f"module {where}", lambda: importlib.import_module(where))
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            own = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
            raise UnknownNameError(f"name in {where}:", name, own)
        found = getattr(found, part)
    return found


def _check_unchanged(module: ModuleType, file: Path) -> None:
    """Raise ConfigError for a file that was edited after its import: its names would be the old ones."""
    loader = getattr(module, "__loader__", None)
    if isinstance(loader, _AsItIsNow) and loader.imported not in (None, file.read_bytes()):
        raise ConfigError(f"{file} has been edited since this process imported it; start Python anew.")


def _module_of(file: Path) -> ModuleType | None:
    """Return the module imported from a file, which may be an installed plugin's or foolbench's own, or None."""
    for module in list(sys.modules.values()):
        path = getattr(module, "__dict__", {}).get("__file__")
        if isinstance(path, str) and Path(path).name == file.name and Path(path).resolve() == file.resolve():
            return module
    return None
