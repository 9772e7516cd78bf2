"""Messages about invalid values in foolbench's words: pydantic's are for programmers."""

import reprlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

_EXPECTED: Mapping[str, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "dataclass": "a table",
    "none": "nothing",
    "json": "values that JSON can hold",
    "recursion": "fewer tables within tables",
    "path": "a path",
}
"""What was expected, by the first word of pydantic's name for an error."""
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


class Complaint(NamedTuple):
    """The first error found: its type in pydantic's words, its place, and a sentence about it."""

    kind: str
    where: tuple[str | int, ...]
    sentence: str


def complaint(error: ValidationError) -> Complaint:
    """Return the first error, an unknown key before all others: a key that is missing may be misspelt."""
    first: Any = min(error.errors(include_url=False), key=lambda one: one["type"] != "extra_forbidden")
    context = first.get("ctx", {})
    own = context.get("error")  # from a check of our own, with a better message
    sentence = str(own) if own else f"Expected {_expected(first['type'], context)}, got {short(first['input'])}."
    return Complaint(first["type"], first["loc"], sentence)


def short(value: object) -> str:
    """Return the repr of a value, abbreviated to fit into a sentence."""
    shown = reprlib.Repr()
    shown.maxstring = shown.maxother = shown.maxlong = 60
    return shown.repr(value)


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"{words} {context[bound]}"
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "too_short":
        return f"at least {context['min_length']} of them"
    if kind == "too_long":
        return f"at most {context['max_length']} of them"
    if kind == "string_pattern_mismatch":
        return f"text of the form {context['pattern']}"
    return _EXPECTED.get(kind.partition("_")[0], "another value")
