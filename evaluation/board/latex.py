"""Format a board as LaTeX tables with booktabs, in the shape of Tables 1 and 10 of GD-UAP."""

import re

import pandas as pd

from ..report.pivot import NAMES, pivot
from ..report.text import for_latex

_RATE = re.compile(r"^(?P<rate>[\d.]+)(?P<flag>\*?) \[(?P<low>\d+)-(?P<high>\d+)\](?: \((?P<gap>[-+][\d.]+)\))?$")
_HEADER = (
    "% Made by `foolbench report --format latex`; needs \\usepackage{booktabs}. Rates in percent with 95% intervals.\n"
)
_STARRED = "% *: a flag, a reason not to believe the number; the board's page says which.\n"


def latex(table: pd.DataFrame) -> str:
    """Return the LaTeX source: a table environment for each network, or for each transfer setting."""
    parts = [_table(title, lines) for title, lines in pivot(table)]
    return "\n".join([_HEADER + _STARRED, *parts])


def _table(title: str, lines: list[dict[str, str]]) -> str:
    shown = pd.DataFrame([{for_latex(name): _cell(value) for name, value in line.items()} for line in lines])
    names = sum(name in NAMES for name in lines[0])
    return shown.to_latex(
        index=False,
        escape=False,  # pandas would also escape the commands of `_cell`
        caption=for_latex(title),
        column_format="l" * names + "r" * (len(shown.columns) - names),
        position="tb",
    )


def _cell(value: str) -> str:
    """Return a cell in LaTeX, its interval small and without the adaptive gap, which only the board shows."""
    found = _RATE.match(value)
    if found is None:
        return "--" if value == "-" else for_latex(value)
    flag = r"\rlap{*}" if found["flag"] else ""
    return rf"{found['rate']}{flag} {{\scriptsize [{found['low']}--{found['high']}]}}"
