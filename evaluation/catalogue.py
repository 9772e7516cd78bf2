"""The page of all attacks, attacks/README.md, made from the registry."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from typing import Any

from tabulate import tabulate

from ..core.attack import Attack, MinimalAttack, UniversalAttack
from ..core.errors import ConfigError
from ..core.registry import Registry

_PAPER = re.compile(r"\((?:[^();]*; )?([^();]+), (https?://[^\s)]+)\)")
_HEADERS = ("name", "kind", "norms", "access", "targeted", "paper", "parameters")

_PAGE = """\
# Attacks

Made by `foolbench catalogue > attacks/README.md`; a test compares. A recipe names an attack and sets what it changes:

```toml
[[attacks]]
name = "pgd"
steps = 100
```

Every attack also takes `norm` and, as its budget, `eps`; without them those of the recipe's `[threat]` hold. What a
parameter without a default does is in the docstring of the attack.

- **image**: one perturbation per image, within the budget. **minimal**: the smallest one that can be found; `eps` says
  which count. **universal**: one perturbation for all images.
- **access**: what the attack needs of the model, from `none` over `decision`, `score` and `features` to `gradient`.
- **targeted**: from Python, `targeted=True` reaches for given classes instead of leaving the predicted one.

{own}
{families}"""

_FAMILY = """
## {prefix}:NAME

With `pip install 'foolbench[{prefix}]'`. Parameters and defaults are those of {prefix}.

{rows}
"""


def catalogue(registry: Registry) -> str:
    """Markdown: a table of the attacks that ship with foolbench, and one of each family."""
    shipped = __name__.partition(".")[0] + ".attacks."
    own = [_row(registry, name) for name in registry if registry[name].__module__.startswith(shipped)]
    families = [
        _FAMILY.format(
            prefix=prefix,
            rows=_table(("name", "what it is"), [(f"`{name}`", text) for name, text in family.summaries.items()]),
        )
        for prefix, family in registry.families.items()
    ]
    return _PAGE.format(own=_table(_HEADERS, own), families="".join(families))


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github")


def _row(registry: Registry, name: str) -> tuple[str, ...]:
    cls: Any = registry[name]
    targeted = _targeted(registry, name)
    return f"`{name}`", _kind(cls), ", ".join(cls.norms), cls.access, targeted, _paper(cls), _parameters(cls)


def _kind(cls: type) -> str:
    if issubclass(cls, UniversalAttack):
        return "universal"
    return "minimal" if issubclass(cls, MinimalAttack) else "image"


def _targeted(registry: Registry, name: str) -> str:
    """What the attack itself says to it."""
    cls: Any = registry[name]
    try:
        registry.create(name, {"eps": 1, "norm": cls.norms[0], "targeted": True})
    except ConfigError:
        return "no"
    return "no" if cls.access == "none" else "yes"


def _paper(cls: type) -> str:
    found = _PAPER.search(sys.modules[cls.__module__].__doc__ or "")
    return f"[{found[1]}]({found[2]})" if found else ""


def _parameters(cls: Any) -> str:
    common = {field.name for field in fields(Attack)}
    own = [field for field in fields(cls) if field.name not in common]
    return ", ".join(f"`{field.name}`{_default(field.default)}" for field in own)


def _default(value: object) -> str:
    return "" if value is None or value is MISSING else f" = {json.dumps(value)}"
