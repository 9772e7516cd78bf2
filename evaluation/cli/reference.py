"""The page on recipes and on what they leave, leaderboards/recipes/README.md, made from the code."""

import json
from collections.abc import Iterable

from pydantic.fields import FieldInfo
from tabulate import tabulate

from ..leaderboard.columns import COLUMNS
from ..leaderboard.flags import FLAGS
from ..opening.recipes import shipped_recipes, summary
from ..recipe.plugins import REGISTRIES
from ..recipe.recipe import Recipe
from .arguments import Catalogued
from .catalogue import attack_page, defense_page

_PAGE = """\
# Recipes

Made by `foolbench catalogue recipes > leaderboards/recipes/README.md`; a test compares.

{recipes}

## Keys

A recipe is a TOML file. `--set KEY=VALUE` changes a key for one run, `--set threat.eps=8/255` one of a table; the value
is TOML, a bare word is text. Rows made with `--set` say so in the column `recipe`.

{keys}

A budget `eps` is for pixels in 0..1: a number or, as text, a fraction such as `"8/255"`.

## Columns of leaderboard.csv

A row for each model, attack, source, knowledge, defense and metric.

{columns}

## Flags

Of two rows that contradict each other both bear the flag: one of them is not what it seems. A worst case bears those of
its members.

{flags}
"""


def recipe_page() -> str:
    """Markdown: the recipes that ship, the keys of a recipe, the columns and the flags of its leaderboard."""
    described = ((f"[{name}]({name}.toml)", summary(name)) for name in shipped_recipes())
    keys = ((f"`{key}`", _default(field), field.description or "") for key, field in Recipe.model_fields.items())
    return _PAGE.format(
        recipes=_table(("recipe", "what it runs"), described),
        keys=_table(("key", "default", "what it is"), keys),
        columns=_table(("column", "what it says"), ((f"`{name}`", text) for name, text in COLUMNS.items())),
        flags=_table(("flag", "what it says"), ((f"`{name}`", text) for name, text in FLAGS.items())),
    )


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() else f"`{json.dumps(field.default)}`"


def _table(headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github")


def page(kind: Catalogued) -> str:
    """Markdown, of all that there is of a kind."""
    if kind is Catalogued.recipes:
        return recipe_page()
    make = attack_page if kind is Catalogued.attacks else defense_page
    return make(REGISTRIES[kind.value])
