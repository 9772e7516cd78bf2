"""The code of what was typed into a notebook or a shell, where no file holds it: what was compiled counts."""

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


def typed_code(cls: type | FunctionType) -> bytes:
    """Of a class or a function, and of the functions, classes and plain values typed beside it that its code names."""
    beside = vars(sys.modules[cls.__module__])
    found: dict[str, list[bytes]] = {}
    todo: list[Any] = [cls]
    while todo:
        one = todo.pop()
        if one.__qualname__ in found:
            continue
        codes = list(_codes(one))
        names = sorted({name for code in codes for name in _names(code)} & beside.keys())
        values = [f"{name} = {_plain(beside[name])}" for name in names if _plain(beside[name])]
        found[one.__qualname__] = [*map(_bytes, codes), repr((values, _own_values(one))).encode()]
        named = map(beside.get, names)
        bases = one.__mro__[1:] if isinstance(one, type) else ()
        todo += [part for part in (*named, *bases) if _is_typed(part, cls.__module__)]
    return repr(sorted(found.items())).encode()


def _names(code: CodeType) -> Iterator[str]:
    """Those of functions within it, too."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _own_values(one: type | FunctionType) -> list[str]:
    """The defaults of a function, or what a class says in plain values."""
    if isinstance(one, FunctionType):
        return [_plain(one.__defaults__ or ()), _plain(one.__kwdefaults__ or {})]
    return [f"{name} = {_plain(value)}" for name, value in vars(one).items() if name[:2] != "__" and _plain(value)]


def _plain(value: Any) -> str:
    """The text of a number, a text, or what holds such, the same in every process; "" of anything else."""
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, tuple | list):
        parts = [_plain(part) for part in value]
    elif isinstance(value, set | frozenset):
        parts = sorted(map(_plain, value))
    elif isinstance(value, dict):
        parts = [f"{_plain(key)}: {_plain(part)}" for key, part in value.items()]
    else:
        return ""
    return f"{type(value).__name__}({', '.join(parts)})"


def _is_typed(part: Any, module: str) -> bool:
    return isinstance(part, type | FunctionType) and part.__module__ == module


def _codes(one: type | FunctionType) -> Iterator[CodeType]:
    """Of a function, or of what a class defines, properties among it."""
    members = [one] if isinstance(one, FunctionType) else vars(one).values()
    for member in members:
        functions = [getattr(member, "__func__", member), *(getattr(member, part, None) for part in ("fget", "func"))]
        yield from (function.__code__ for function in functions if isinstance(function, FunctionType))


def _bytes(code: CodeType) -> bytes:
    """Without addresses and numbers of lines, which change when nothing has."""
    constants = [_bytes(one) if isinstance(one, CodeType) else one for one in code.co_consts]
    return repr((code.co_name, code.co_code, code.co_names, constants)).encode()
