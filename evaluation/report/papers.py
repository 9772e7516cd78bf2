"""The papers that an attack or a defense is from, as the docstring of its file names them."""

import re
import sys
from collections.abc import Callable
from typing import Any

_SOURCES = re.compile(r"\(([^()]*\b(?:https?://|(?:19|20)\d\d)[^()]*)\)")  # in brackets, with a link or a year


def papers(cls: Callable[..., Any]) -> list[str]:
    """Authors and year, and after a comma a link where there is one; none where the docstring names none."""
    found = _SOURCES.search(sys.modules[cls.__module__].__doc__ or "")
    return " ".join(found[1].split()).split("; ") if found else []
