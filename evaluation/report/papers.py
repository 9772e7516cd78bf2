"""The papers that an attack or a defense is from, as the docstring of its file names them."""

import re
import sys
from collections.abc import Callable
from typing import Any

_SOURCES = re.compile(r"\(([^()]*\bhttps?://[^()]*)\)")  # what stands in brackets and has a link


def papers(cls: Callable[..., Any]) -> list[str]:
    """Authors and year, a comma, a link; none where the docstring names none."""
    found = _SOURCES.search(sys.modules[cls.__module__].__doc__ or "")
    return found[1].split("; ") if found else []
