"""Extract the papers of an attack or a defense from the docstring of its module."""

import re
import sys
from collections.abc import Callable
from typing import Any

_SOURCES = re.compile(r"\(([^()]*\b(?:https?://|(?:19|20)\d\d)[^()]*)\)")  # in parentheses, with a link or a year


def papers(cls: Callable[..., Any]) -> list[str]:
    """Return the papers in the first parentheses of the module's docstring with a link or a year, or [].

    Each is "Authors Year" or, with a link, "Authors Year, https://..."; several are separated by semicolons.
    """
    found = _SOURCES.search(sys.modules[cls.__module__].__doc__ or "")
    return " ".join(found[1].split()).split("; ") if found else []
