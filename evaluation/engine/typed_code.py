"""The code of what was typed into a notebook or a shell, where no file holds it: what was compiled counts."""

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any


def typed_code(cls: type | FunctionType) -> bytes:
    """Of a class or a function, and of the functions and classes typed beside it that its code names."""
    beside = vars(sys.modules[cls.__module__])
    found: dict[str, list[bytes]] = {}
    todo: list[Any] = [cls]
    while todo:
        one = todo.pop()
        if one.__qualname__ in found:
            continue
        codes = list(_codes(one))
        found[one.__qualname__] = [_bytes(code) for code in codes]
        named = (beside.get(name) for code in codes for name in code.co_names)
        bases = one.__mro__[1:] if isinstance(one, type) else ()
        todo += [part for part in (*named, *bases) if _is_typed(part, cls.__module__)]
    return repr(sorted(found.items())).encode()


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
