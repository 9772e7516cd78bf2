"""The code behind a result: an edited attack is another attack, and so is one whose helpers were edited."""

import hashlib
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from torch import nn

from .typed_code import typed_code


@cache
def source_hash(cls: type) -> str:
    """Hash of the file that defines a class and of all files of foolbench whose classes and functions it uses."""
    start = sys.modules[cls.__module__]
    found = {start.__name__: start}
    todo = [start]
    while todo:
        for used in _uses(todo.pop()):
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


def _uses(module: ModuleType) -> list[ModuleType]:
    """The modules of foolbench that define what `module` has imported."""
    values = vars(module).values()
    names = {
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) for value in values
    }
    ours = {str(name) for name in names if str(name).startswith("foolbench.")}
    return [sys.modules[name] for name in ours if name in sys.modules]
