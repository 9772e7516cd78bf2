"""Hash code that was typed into a notebook or a shell, and is in no file, by its compiled form."""

import dis
import hashlib
import sys
import uuid
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import Tensor

from ...core.errors import foreign_errors

_PLAIN = (type(None), type(...), type(NotImplemented), bool, int, float, complex, str, bytes)
_OF_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
"""The bytecode operations that load a global name."""
_NO_MEMBERS = {"_abc_impl", "__dict__", "__weakref__"}
"""The attributes of a class that Python adds for its own use."""


def typed_code(cls: type | FunctionType) -> bytes:
    """Return a hash of a class or a function: of its code, and of all globals of its module that this uses.

    Functions and classes count by their code, also behind decorators and in closures; other values by what pickle would
    store of them, and tensors by their bytes. If a value cannot be taken apart, such as an open file, the hash is new
    each time, since nothing is known to be the same.
    """
    found = _Telling(cls.__module__)
    found.tell(cls)
    return found.digest


class _Telling:
    """A hash of values that is the same in every process. An object that occurs again counts by its number."""

    def __init__(self, module: str) -> None:
        self._module, self._hash = module, hashlib.sha256()
        self._seen: dict[int, tuple[int, Any]] = {}
        """Objects with their numbers, by id. Holding the objects keeps Python from reusing the ids."""

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    def tell(self, value: Any) -> None:
        if type(value) in _PLAIN:
            self._say(type(value).__name__, repr(value))
        elif id(value) in self._seen:
            self._say("again", self._seen[id(value)][0])
        else:
            self._seen[id(value)] = len(self._seen), value
            try:
                self._tell_whole(value)
            except foreign_errors():  # its class may raise anything, or it is nested too deeply
                self._say("only now", uuid.uuid4().hex)

    def _say(self, *words: object) -> None:
        self._hash.update(repr(words).encode())

    def _tell_all(self, kind: str, *values: Any) -> None:
        self._say(kind, len(values))
        for value in values:
            self.tell(value)

    def _tell_whole(self, value: Any) -> None:
        match value:
            case FunctionType() | type() if self._is_known(value):
                self._say("known", value.__module__, value.__qualname__)
            case FunctionType():
                self._tell_function(value)
            case type():
                members = [part for pair in sorted(_members(value).items()) for part in pair]
                self._tell_all("class", value.__qualname__, type(value), *value.__bases__, *members)
            case ModuleType():
                self._say("module", value.__name__)
            case CodeType():
                self._tell_all("code", *_told(value))
            case CellType():
                self._tell_all("cell", *_contents(value))
            case property():
                self._tell_all("property", value.fget, value.fset, value.fdel)
            case staticmethod() | classmethod():
                self._tell_all(type(value).__name__, value.__func__)
            case cached_property():
                self._tell_all("cached property", value.func)
            case Tensor():
                self._tell_tensor(value)
            case _:
                self._tell_object(value)

    def _is_known(self, one: type | FunctionType) -> bool:
        """Return whether a class or function is a built-in or of another module: there its name identifies it."""
        if one.__module__ == "builtins":
            return True
        found: Any = sys.modules.get(one.__module__)
        for name in one.__qualname__.split("."):
            found = getattr(found, name, None)
        return found is one and one.__module__ != self._module

    def _tell_function(self, one: FunctionType) -> None:
        """Add a function and, if it was typed, its globals; a decorator's wrapper has those of the decorator's file."""
        beside = one.__globals__
        names = sorted(set(_names(one.__code__)) & beside.keys()) if beside.get("__name__") == self._module else []
        named = [part for name in names for part in (name, beside[name])]
        closure = one.__closure__ or ()
        self._tell_all("function", one.__code__, one.__defaults__, one.__kwdefaults__, vars(one), *closure, *named)

    def _tell_tensor(self, one: Tensor) -> None:
        self._say("tensor", str(one.dtype), tuple(one.shape))
        plain = one.detach().cpu().resolve_conj().resolve_neg().reshape(-1).contiguous()
        self._hash.update(plain.view(torch.uint8).numpy().data)

    def _tell_object(self, one: Any) -> None:
        """Add a collection by its items, and any other object as pickle takes it apart, which may raise anything."""
        if type(one) in (tuple, list):
            self._tell_all(type(one).__name__, *one)
        elif type(one) in (set, frozenset):
            self._say(type(one).__name__, sorted(map(self._apart, one)))
        elif type(one) is dict:
            self._tell_all("dict", *(part for pair in one.items() for part in pair))
        else:
            self._tell_all("object", type(one), *_taken_apart(one))

    def _apart(self, value: Any) -> bytes:
        """Return a hash of one value alone, by which the values of a set, which has no order, can be sorted."""
        found = _Telling(self._module)
        found.tell(value)
        return found.digest


def _members(cls: type) -> Mapping[str, Any]:
    """Return what a class defines, without the attributes that Python adds, such as `__module__` and `__doc__`."""
    own = {name: value for name, value in vars(cls).items() if name not in _NO_MEMBERS}
    return {name: value for name, value in own.items() if name[:2] != "__" or hasattr(value, "__get__")}


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names of the globals that code uses, also in functions within it."""
    yield from (str(step.argval) for step in dis.get_instructions(code) if step.opname in _OF_GLOBALS)
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _told(code: CodeType) -> tuple[Any, ...]:
    """Return the parts of a code object, except addresses and line numbers, which change without the code changing."""
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags, code.co_varnames
    return code.co_name, code.co_code, code.co_exceptiontable, code.co_names, code.co_consts, *arguments


def _contents(cell: CellType) -> tuple[Any, ...]:
    """Return the content of a closure's cell; empty if its variable has no value yet."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _taken_apart(one: Any) -> list[Any]:
    """Return how pickle would rebuild an object or, for one that it finds by name, that name and what it wraps."""
    found = one.__reduce_ex__(4)
    if isinstance(found, str):
        return [found, getattr(one, "__module__", None), getattr(one, "__wrapped__", None)]
    make, arguments, *rest = found
    state, items, pairs = (*rest, None, None, None)[:3]
    return [make, arguments, state, list(items or ()), list(pairs or ())]
