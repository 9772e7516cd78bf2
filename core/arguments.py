"""The parameters of a function as a frozen dataclass, so that they are checked like those of attacks and defenses."""

import inspect
from collections.abc import Callable
from dataclasses import field, make_dataclass
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError


class Arguments(NamedTuple):
    """A function's parameters: `cls` has a field for each that can be given by name; `takes_more` if it has `**`."""

    cls: type
    names: tuple[str, ...]
    takes_more: bool


def arguments_of(function: Callable[..., Any]) -> Arguments:
    """Return the parameters of a function as a dataclass.

    A parameter with a default is None where it is not given: the function knows its own default.
    """
    found = parameters_of(function)
    named = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    fields = [(one.name, _annotation(one)) if one.default is one.empty else _optional(one) for one in named]
    cls = make_dataclass("Arguments", fields, kw_only=True, frozen=True)
    return Arguments(cls, tuple(one.name for one in named), any(one.kind is one.VAR_KEYWORD for one in found))


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters of a function, or of a class's constructor; none if it cannot be inspected."""
    try:
        return list(inspect.signature(function, eval_str=True).parameters.values())
    except NameError:  # an annotation that only type checkers see
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # compiled code may have no signature
        return []


def _optional(parameter: inspect.Parameter) -> tuple[str, Any, Any]:
    return parameter.name, _annotation(parameter), field(default=None)


def _annotation(parameter: inspect.Parameter) -> Any:
    """Return the type to validate; Any if there is no annotation, or one that pydantic cannot validate."""
    if parameter.annotation is parameter.empty or isinstance(parameter.annotation, str):
        return Any
    try:
        TypeAdapter(parameter.annotation)
    except (PydanticSchemaGenerationError, PydanticUserError):
        return Any
    return parameter.annotation
