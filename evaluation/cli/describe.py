"""An attack or a defense in words: what its author says of it, and its parameters."""

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

from ...core.errors import ConfigError
from .catalogue import default


def description(name: str, found: Callable[..., Any]) -> str:
    """Plain text for the class `found`, known as `name`. Raises ConfigError for what is no dataclass."""
    if not is_dataclass(found):
        raise ConfigError(f"Expected {name} to be a frozen dataclass, got {found!r}.")
    source = (inspect.getdoc(inspect.getmodule(found)) or "").partition("\n")[0]
    parts = [f"{name}: {source}", inspect.getdoc(found) or "", _norms(found), _parameters(found)]
    return "\n\n".join(part for part in parts if part)


def _norms(found: Any) -> str:
    norms = getattr(found, "norms", None)
    return f"Norms: {', '.join(norms)}." if norms else ""


def _parameters(found: Any) -> str:
    own = [f"    {field.name}{default(field)}" for field in fields(found)]
    return "\n".join(["Parameters:", *own]) if own else "No parameters."
