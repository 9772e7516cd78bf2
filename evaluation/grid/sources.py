"""Hash the code behind a result: an attack counts as another one once its code, or that of its helpers, is edited."""

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
"""The folders of installed packages, whose code changes with their version only."""
_NOTED: ContextVar[dict[type | FunctionType, bytes] | None] = ContextVar("noted", default=None)
"""The code of classes and functions typed into a shell, as first seen within `typed_code_at_rest`; None outside it."""


@contextmanager
def typed_code_at_rest() -> Iterator[None]:
    """Context manager: take code that was typed into a shell as it was when it was first hashed.

    A run may change values that the code uses, such as a list of losses, which would change its hash.
    """
    token = _NOTED.set({})
    try:
        yield
    finally:
        _NOTED.reset(token)


def source_hash(cls: type | FunctionType) -> str:
    """Return a hash of the file that defines a class or a function, and of the files that this one uses.

    Used files are followed if they belong to foolbench or to the class's own package, or are not installed, such as a
    module beside it. Comments and docstrings do not count. Code that was typed into a shell counts as it is now, or as
    it was at first within `typed_code_at_rest`.
    """
    start = sys.modules[cls.__module__]
    return _hash(cls, b"" if _as_file(getattr(start, "__file__", None)) else _typed(cls))


def net_hash(net: nn.Module) -> str:
    """Return a hash of the code of a network's modules, except those of torch and torchvision.

    The manifest has the versions of these two.
    """
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
    """Return the hash of `source_hash`; `typed` is the code that is in no file.

    Cached: a file counts as it was at the first call, since that is what was imported.
    """
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
    """Return a module's file, or None if it has none, like a shell or a pipe, which may have a name such as <stdin>."""
    return Path(path) if isinstance(path, str) and is_file(Path(path)) else None


def _uses(name: str, file: Path | None) -> set[str]:
    """Return the modules that define what a module has imported and, for a user's own, those that its text imports.

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
    """Return whether a module's code is to be hashed, because no version number identifies it."""
    package = _package(name)
    if package in ("foolbench", _package(start.__name__)):
        return name != "foolbench" and (name in sys.modules or location(name) is not None)
    file = None if package in sys.stdlib_module_names else location(name)
    return file is not None and _INSTALLED.isdisjoint(Path(file).parts)


def _package(name: str) -> str:
    return name.partition(".")[0]
