"""Citations of a row: the run that it is from, and the papers of its attack and its defense."""

import json

from ..recipe.plugins import REGISTRIES
from ..report.papers import papers
from ..report.text import for_latex
from .board import Row
from .runs import Run


def cited(row: Row) -> str:
    """Return a one-line citation of a row, enough to find its numbers again."""
    run = row.run
    told = [
        f"foolbench {run.makers.last.get('foolbench', '')}".strip(),
        f"recipe {row['recipe']}",
        f"run {row['run']}",
        f"row {row.place}",
        *([f"cell {cell}"] if (cell := row["cell"]) and " " not in cell else []),
        *([run.written[:10]] if run.written else []),
    ]
    return ", ".join(told)


def sources(row: Row) -> list[str]:
    """Return the papers of a row's attacks and its defense, as the docstrings of their modules cite them."""
    attack = str(row["attack"]).partition("/")[0]
    listed = json.loads(row["attack_params"] or "{}").get("worst_of", [])
    # a member with parameters is {name: parameters}
    members = [one if isinstance(one, str) else next(iter(one)) for one in listed]
    named = [("attacks", name) for name in dict.fromkeys([attack, *(one.partition("/")[0] for one in members)])]
    found = []
    for kind, name in (*named, ("defenses", str(row["defense"]))):
        registry = REGISTRIES[kind]
        if name in list(registry):  # not the on-demand names of a family, whose lookup would import its library
            found += [f"{name}: {paper}" for paper in papers(registry[name])]
    return found


def bibtex(run: Run) -> str:
    """Return a BibTeX entry for a run, identified by its hash of recipe, data and networks."""
    row = run.table.iloc[0]
    year = run.written[:4]
    fields = {
        "title": f"foolbench board: {row['recipe']}",
        "howpublished": "foolbench, an adversarial robustness benchmark",
        **({"year": year} if year else {}),
        "note": f"foolbench {run.makers.last.get('foolbench', '')}, run {row['run']}".replace(" ,", ","),
    }
    lines = [f"  {name} = {{{for_latex(value)}}}," for name, value in fields.items()]
    return "\n".join([f"@misc{{foolbench-{row['run']},", *lines, "}"])
