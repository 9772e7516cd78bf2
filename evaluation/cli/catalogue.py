"""`foolbench catalogue`: make attacks/README.md and defenses/README.md from the registries and docstrings."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from tabulate import tabulate

from ...core.attack import Attack, MinimalAttack
from ...core.defense import InputTransform
from ...core.errors import ConfigError
from ...core.learned_defense import LearnedDefense, LearnedTransform
from ...core.registry import Registry
from ...core.universal_attack import UniversalAttack
from ..report.papers import papers

_LINK = re.compile(r"(.+), (https?://[^\s,]+)")
_BROKEN = re.compile(r"^Broken by (.+?)\.?$(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
_CITED = re.compile(r"([(;] ?)([^();]+), (https?://[^\s,();]+)")

_ATTACKS = """\
# Attacks

Made by `foolbench catalogue attacks > attacks/README.md`; a test compares. A recipe names an attack and sets what it
changes:

```toml
[[attacks]]
name = "pgd"
steps = 100
```

Every attack also takes `norm` and, as its budget, `eps`; without them those of the recipe's `[threat]` hold. One of
another norm needs an `eps` of its own. What a parameter without a default does is in the docstring of the attack.

- **image**: one perturbation per image, within the budget. **minimal**: the smallest one that can be found; `eps` says
  which count. **universal**: one perturbation for all images.
- **access**: what the attack needs of the model, from `none` over `decision`, `score` and `features` to `gradient`.
- **targeted**: `targeted = true` reaches for a class instead of leaving the predicted one. In a run each image has
  another class as its target, drawn at random, the same for all attacks; from Python they are given. GFR counts any
  other answer all the same.

"""

_DEFENSES = """\
# Defenses

Made by `foolbench catalogue defenses > defenses/README.md`; a test compares. A recipe names a defense and sets what it
changes:

```toml
[[defenses]]
name = "jpeg"
quality = 50
```

What a parameter without a default does is in the docstring of the defense.

- **gradient**: what an adaptive attack follows: the `exact` one, or that of a surrogate in its place (BPDA), with
  `identity` that of the network at the defended image. A defense in the network, or one that decides otherwise, names
  surrogates of what it computes there. Where several are named, the first is what a single attack
  takes, and `adaptive-ensemble` tries them all.
- **random**: two evaluations of one image may differ; an adaptive attack follows the mean of several (EOT).
- **learns**: from training images, once for each data set and each setting; `foolbench train NAME` does it anew.
- **broken by**: an adaptive attack that is known to leave little of it.

"""

_FAMILY = """
## {prefix}:NAME

With `pip install 'foolbench[{prefix}]'`. Parameters and defaults are those of {prefix}. It draws random numbers for a
batch, not for an image, so that the `batch_size` of a recipe changes what its random attacks find.

{rows}
"""

Row = tuple[str, ...]


def attack_page(registry: Registry) -> str:
    """Return attacks/README.md: a table of the attacks that ship with foolbench, and one for each adapted library."""
    headers = ("name", "kind", "norms", "access", "targeted", "paper", "parameters")
    families = [
        _FAMILY.format(
            prefix=prefix,
            rows=_table(("name", "what it is"), [(f"`{name}`", text) for name, text in family.summaries.items()]),
        )
        for prefix, family in registry.families.items()
    ]
    return _ATTACKS + _table(headers, _shipped(registry, "attacks", _attack)) + "\n" + "".join(families)


def defense_page(registry: Registry) -> str:
    """Return defenses/README.md: a table of the defenses that ship with foolbench."""
    headers = ("name", "gradient", "random", "learns", "broken by", "paper", "parameters")
    return _DEFENSES + _table(headers, _shipped(registry, "defenses", _defense)) + "\n"


def _shipped(registry: Registry, folder: str, row: Callable[[Registry, str], Row]) -> list[Row]:
    """Return the table rows of the registered classes that ship with foolbench, without those of plugins."""
    home = f"{__name__.partition('.')[0]}.{folder}."
    return [row(registry, name) for name in registry if registry[name].__module__.startswith(home)]


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github")


def _attack(registry: Registry, name: str) -> Row:
    cls: Any = registry[name]
    common = {field.name for field in fields(Attack)}
    parameters = _parameters(field for field in fields(cls) if field.name not in common)
    targeted = _targeted(registry, name)
    return f"`{name}`", _kind(cls), ", ".join(cls.norms), cls.access, targeted, _paper(cls), parameters


def _kind(cls: type) -> str:
    if issubclass(cls, UniversalAttack):
        return "universal"
    return "minimal" if issubclass(cls, MinimalAttack) else "image"


def _targeted(registry: Registry, name: str) -> str:
    """Return "yes", "no", or the parameter `target` that names one target class for all images."""
    cls: Any = registry[name]
    if any(field.name == "target" for field in fields(cls)):
        return "`target`"
    return "yes" if can_be_targeted(cls) else "no"


def can_be_targeted(attack: Any) -> bool:
    """Return whether an attack class accepts `targeted=True`."""
    try:
        attack(eps=1, norm=attack.norms[0], targeted=True)
    except (ConfigError, TypeError):  # a TypeError: universal attacks have no such parameter
        return False
    return True


def _defense(registry: Registry, name: str) -> Row:
    cls: Any = registry[name]
    learns = "yes" if issubclass(cls, LearnedDefense) else "no"
    try:
        defense = registry.create(name, {})
    except ConfigError:  # it has no default setting: a chain depends on its steps
        facts = ("as its steps",) * 3
    else:
        facts = (_gradient(defense), "yes" if defense.randomized else "no", learns)
    return f"`{name}`", *facts, _broken_by(cls), _paper(cls), _parameters(fields(cls))


def _gradient(defense: Any) -> str:
    inherited = (InputTransform.surrogate, LearnedTransform.surrogate)
    plain = "identity" if getattr(type(defense), "surrogate", None) in inherited else "surrogate"
    named = (plain if name == "surrogate" else name for name in defense.surrogates)
    return ", ".join(["exact", *named] if defense.differentiable else named)


def _broken_by(cls: type) -> str:
    """Return the rest of the docstring's paragraph that begins with "Broken by", citations as links, or ""."""
    found = _BROKEN.search(inspect.getdoc(cls) or "")
    return _CITED.sub(r"\1[\2](\3)", " ".join(found[1].split())) if found else ""


def _paper(cls: type) -> str:
    """Return the papers that the docstring of its module cites in parentheses, as links."""
    return "; ".join(_LINK.sub(r"[\1](\2)", paper) for paper in papers(cls))


def _parameters(own: Iterable[Field[Any]]) -> str:
    return ", ".join(f"`{field.name}`{default(field)}" for field in own)


def default(field: Field[Any]) -> str:
    """Return " = VALUE" for a parameter with a default, as a recipe would write it, or "" for one without or None."""
    if field.default is None or field.default is MISSING:
        return ""
    return f" = {field.default:.6g}" if isinstance(field.default, float) else f" = {json.dumps(field.default)}"
