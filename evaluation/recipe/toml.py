"""Format values as TOML on one line, for `--set`."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile("[A-Za-z0-9_-]+")


def inline(value: Any) -> str:
    """Return a recipe's value (text, number, boolean, or lists and tables of these) as TOML on one line.

    Keys whose value is None are left out, since TOML has no null.
    """
    if isinstance(value, Mapping):
        told = ", ".join(f"{_key(key)} = {inline(one)}" for key, one in value.items() if one is not None)
        return f"{{ {told} }}" if told else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # nan, inf and -inf
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else inline(name)
