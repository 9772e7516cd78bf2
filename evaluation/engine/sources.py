"""The code behind a result: an edited attack is another attack, and so is one whose helpers were edited."""

import hashlib
import sys
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType

from torch import nn

from .typed_code import typed_code

_INSTALLED = {"site-packages", "dist-packages", "lib-dynload"}
"""Folders of what changes with its version only, as the standard library does."""


@cache
def source_hash(cls: type | FunctionType) -> str:
    """Hash of the file that defines a class or a function, and of those files whose classes and functions it uses.

    Of foolbench, of its own package, and of what is not installed, as a module beside it.
    """
    start = sys.modules[cls.__module__]
    found = {start.__name__: start}
    todo = [start]
    while todo:
        for used in _uses(todo.pop(), start):
            if used.__name__ not in found:
                found[used.__name__] = used
                todo.append(used)
    files = [getattr(found[name], "__file__", None) for name in sorted(found)]
    typed = b"" if getattr(start, "__file__", None) else typed_code(cls)
    return hashlib.sha256(typed + b"".join(Path(file).read_bytes() for file in files if file)).hexdigest()[:16]


def net_hash(net: nn.Module) -> str:
    """Hash of the code of a network's modules; those of torch and torchvision are known by the manifest's versions."""
    foreign = {type(module) for module in net.modules()}
    own = {cls for cls in foreign if cls.__module__.partition(".")[0] not in ("torch", "torchvision")}
    return hashlib.sha256(" ".join(sorted(map(source_hash, own))).encode()).hexdigest()[:16]


def _uses(module: ModuleType, start: ModuleType) -> list[ModuleType]:
    """The modules that define what `module` has imported, as far as its code is not known by versions."""
    values = vars(module).values()
    names = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in values
    }
    used = [sys.modules[name] for name in {str(name) for name in names} if name in sys.modules]
    return [one for one in used if _is_followed(one, start)]


def _is_followed(module: ModuleType, start: ModuleType) -> bool:
    package = module.__name__.partition(".")[0]
    if package in ("foolbench", start.__name__.partition(".")[0]):
        return module.__name__ != "foolbench"
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or package in sys.stdlib_module_names:
        return False
    return _INSTALLED.isdisjoint(Path(file).parts)
