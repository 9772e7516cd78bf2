"""`foolbench catalogue recipes`: make leaderboards/recipes/README.md, on recipes and their results, from the code."""

import json
from collections.abc import Iterable

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from tabulate import tabulate

from ..leaderboard.columns import COLUMNS
from ..leaderboard.flags import FLAGS
from ..opening.recipes import shipped_recipes, summary
from ..recipe.entries import NamedAttack, ThreatDefault
from ..recipe.gates import Gate
from ..recipe.recipe import Recipe

_PAGE = """\
# Recipes

Made by `foolbench catalogue recipes > leaderboards/recipes/README.md`; a test compares.

{recipes}

## Keys

A recipe is a TOML file. `--set KEY=VALUE` changes a key for one run, `--set threat.eps=8/255` one of a table; the value
is TOML, a bare word is text. Rows made with `--set` say so in the column `recipe`. How to write one:
[your recipe](../../docs/recipes.md).

{keys}

### Keys of `threat`

{threat}

### Keys of an attack

Beside `name` and the attack's own parameters:

{attack}

### Keys of a gate

Which rows it is about, and what their rates may be:

{gate}

## Columns of leaderboard.csv

A row for each model, attack, source, knowledge, defense and metric.

{columns}

## Flags

Of two rows that contradict each other both bear the flag: one of them is not what it seems. A worst case bears those of
its members.

{flags}
"""


def recipe_page() -> str:
    """Return the page: the shipped recipes, the keys of a recipe, the columns and the flags of its leaderboard."""
    described = ((f"[{name}]({name}.toml)", summary(name)) for name in shipped_recipes())
    return _PAGE.format(
        recipes=_table(("recipe", "what it runs"), described),
        keys=_keys(Recipe),
        threat=_keys(ThreatDefault),
        attack=_keys(NamedAttack),
        gate=_keys(Gate),
        columns=_table(("column", "what it says"), ((f"`{name}`", column.says) for name, column in COLUMNS.items())),
        flags=_table(("flag", "what it says"), ((f"`{name}`", text) for name, text in FLAGS.items())),
    )


def _keys(table: type[BaseModel]) -> str:
    """Return a Markdown table of the keys that have a description."""
    described = {key: field for key, field in table.model_fields.items() if field.description}
    rows = ((f"`{key}`", _default(field), str(field.description)) for key, field in described.items())
    return _table(("key", "default", "what it is"), rows)


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() or field.default is None else f"`{json.dumps(field.default)}`"


def _table(headers: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return tabulate(rows, headers=headers, tablefmt="github")
