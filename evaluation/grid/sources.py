"""The code behind a result: an edited attack is another attack, and so is one whose helpers were edited."""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType

from torch import nn

from ...core.files import is_file
from .bare_code import bare_code
from .imports import imported_names, location
from .typed_code import typed_code

_INSTALLED = {"site-packages", "dist-packages", "lib-dynload"}
"""Folders of what changes with its version only, as the standard library does."""
_NOTED: ContextVar[dict[type | FunctionType, bytes] | None] = ContextVar("noted", default=None)
"""What was typed, as it was when it was asked for first."""


@contextmanager
def typed_code_at_rest() -> Iterator[None]:
    """Meanwhile what was typed counts as it was at first: a run may change values that it uses, as a list of losses."""
    token = _NOTED.set({})
    try:
        yield
    finally:
        _NOTED.reset(token)


def source_hash(cls: type | FunctionType) -> str:
    """Hash of the code that defines a class or a function, and of the files whose classes and functions it uses.

    Followed are files of foolbench, of the class's own package, and those that are not installed, such as a module
    beside it. Comments and docstrings do not count. Code that was typed into a shell counts as it is now.
    """
    start = sys.modules[cls.__module__]
    return _hash(cls, b"" if _as_file(getattr(start, "__file__", None)) else _typed(cls))


def net_hash(net: nn.Module) -> str:
    """Hash of the code of a network's modules; those of torch and torchvision are known by the manifest's versions."""
    foreign = {type(module) for module in net.modules()}
    own = {cls for cls in foreign if cls.__module__.partition(".")[0] not in ("torch", "torchvision")}
    return hashlib.sha256(" ".join(sorted(map(source_hash, own))).encode()).hexdigest()[:16]


def _typed(cls: type | FunctionType) -> bytes:
    noted = _NOTED.get()
    if noted is None:
        return typed_code(cls)
    if cls not in noted:
        noted[cls] = typed_code(cls)
    return noted[cls]


@cache
def _hash(cls: type | FunctionType, typed: bytes) -> str:
    """`typed` is what no file holds. A file counts as it is when it is asked for first, as it has been imported."""
    start = sys.modules[cls.__module__]
    files, todo = {start.__name__: _as_file(getattr(start, "__file__", None))}, [start.__name__]
    while todo:
        name = todo.pop()
        for used in _uses(name, files[name]):
            if used not in files and _is_followed(used, start):
                files[used] = _as_file(location(used))
                todo.append(used)
    contents = [bare_code(file.read_bytes()) for _, file in sorted(files.items()) if file]
    return hashlib.sha256(typed + b"".join(contents)).hexdigest()[:16]


def _as_file(path: object) -> Path | None:
    """None of a shell and of a pipe, whatever they call themselves."""
    return Path(path) if isinstance(path, str) and is_file(Path(path)) else None


def _uses(name: str, file: Path | None) -> set[str]:
    """The modules that define what a module has imported; of a user's own also those that its text names.

    `from foolbench.core import *` also binds whichever modules of foolbench happen to be loaded by then, which differ
    from process to process: those count only where the text of a user's module names them.
    """
    module = sys.modules.get(name)
    values = [] if module is None else list(vars(module).values())
    modules = {value.__name__ for value in values if isinstance(value, ModuleType)}
    loaded = {str(getattr(value, "__module__", None)) for value in values if not isinstance(value, ModuleType)}
    if file is None or _package(name) == "foolbench" or not _INSTALLED.isdisjoint(file.parts):
        return (loaded | modules) & sys.modules.keys()
    named = imported_names(file, name)
    bound = {used for used in modules if _package(used) != "foolbench" or used in named}
    return ((loaded | bound) & sys.modules.keys()) | {used for used in named if _package(used) != "foolbench"}


def _is_followed(name: str, start: ModuleType) -> bool:
    """As far as its code is not known by versions."""
    package = _package(name)
    if package in ("foolbench", _package(start.__name__)):
        return name != "foolbench" and (name in sys.modules or location(name) is not None)
    file = None if package in sys.stdlib_module_names else location(name)
    return file is not None and _INSTALLED.isdisjoint(Path(file).parts)


def _package(name: str) -> str:
    return name.partition(".")[0]
