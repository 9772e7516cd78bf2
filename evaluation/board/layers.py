"""How far attacks move the layers of networks: a table, and charts by layer and by attack."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..leaderboard.grouping import grouped
from ..leaderboard.layers import Moved
from .board import Board, Part, Row
from .charts import LINE, WIDTH, Chart
from .curves import COLUMNS
from .drawing import PAPER, Palette, canvas, harmless, name_beside, styled

ENOUGH = 3
"""The smallest number of attacks for a regression line."""
_STYLES = ("-", "--", ":", "-.")
_TICKS = [digit * 10.0**power for power in range(-3, 6) for digit in (1, 2, 5)]
_RELATIVE = ("relative", "relative_low", "relative_high")


class _Shown(NamedTuple):
    row: Row
    moved: Moved


def layer_table(board: Board) -> pd.DataFrame:
    """Return a line for each row and layer, with the values of `Moved`, `relative` in percent with its interval."""
    lines = [
        {name: moved.facts[name] for name in COLUMNS if name in moved.facts}
        | {"layer": layer}
        | dict(zip(_RELATIVE, (100 * value for value in relative or (np.nan,) * 3), strict=True))
        | {"moved": moved.moved[place], "alone": None if moved.alone is None else moved.alone[place]}
        | {"gfr": row["gfr"], "cell": moved.cell}
        for part in board.parts
        for row, moved in _shown(part)
        for place, (layer, relative) in enumerate(zip(moved.layers, moved.relative, strict=True))
    ]
    table = pd.DataFrame(lines)
    return table.assign(**{name: table[name].astype(float).round(5) for name in (*_RELATIVE, "moved", "alone")})


def layer_charts(part: Part, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield, for each system, a chart of how far each attack moves each layer, and one that compares the attacks.

    The latter needs `Moved.alone`, known for bare networks only. Runs that record other layers have their own charts.
    """
    systems = grouped(_shown(part), lambda shown: (shown.row.defense, tuple(shown.moved.layers)))
    for same in systems.values():
        title = part.system(same[0].row)
        if len(same[0].moved.layers) > 1:
            yield _by_layer(f"{title}: how far layers move", same, palette)
        if len(same) >= ENOUGH and all(shown.moved.alone for shown in same):
            yield _by_attack(f"{title}: {same[0].moved.layers[-1]} by attack", same, palette)


def _shown(part: Part) -> list[_Shown]:
    """Return the recorded movements in the order of the rows; a cell with several metrics has its first row."""
    moved = {(row.run.path, found.cell): found for row in part.rows for found in row.run.layers}
    rows = {(row.run.path, row["cell"]): row for row in reversed(part.rows)}
    return [_Shown(rows[key], moved[key]) for key in reversed(rows) if key in moved]


def _by_layer(title: str, same: Sequence[_Shown], palette: Palette) -> Chart:
    """Return a chart like Figure 9 of GD-UAP: relative movement by layer, on a logarithmic scale."""
    layers, last = same[0].moved.layers, len(same[0].moved.layers) - 1
    lines = np.array([[np.nan if one is None else 100 * one.mean for one in shown.moved.relative] for shown in same])
    heights = np.log10(lines, out=np.full_like(lines, np.nan), where=lines > 0)
    with styled():
        figure, axes = canvas(WIDTH, max(2.8, 0.8 + LINE * len(same)), palette)
        for place, line in enumerate(heights):
            colour, style = (palette.knowing, palette.oblivious)[place % 2], _STYLES[place // 2 % len(_STYLES)]
            axes.plot(range(len(layers)), line, color=colour, linestyle=style, linewidth=1.2)
        axes.set_xticks(range(len(layers)), map(harmless, layers), rotation=90, fontsize=7)
        axes.set(xlim=(0, last), ylabel="moved, % of its norm")
        ticks = [value for value in _TICKS if axes.get_ylim()[0] <= np.log10(value) <= axes.get_ylim()[1]]
        axes.set_yticks(np.log10(ticks), [f"{value:g}" for value in ticks])
        named = [(shown.row.attack, (last, end)) for shown, end in zip(same, heights[:, -1], strict=True) if end == end]
        name_beside(figure, axes, 1.03 * last, [name for name, _ in named], [end for _, end in named], palette)
    told = "; ".join(f"{shown.row.attack}: {_told(shown.moved)}" for shown in same)
    return Chart(title, told, figure)


def _told(moved: Moved) -> str:
    first, last = (100 * one.mean if one else np.nan for one in (moved.relative[0], moved.relative[-1]))
    return f"{first:.3g}% at {moved.layers[0]}, {last:.3g}% at {moved.layers[-1]}"


def _by_attack(title: str, same: Sequence[_Shown], palette: Palette) -> Chart:
    """Return a chart like Figure 10 of GD-UAP: how far perturbations move a layer, over its output for them alone."""
    alone = np.array([shown.moved.alone[-1] for shown in same if shown.moved.alone])
    moved = np.array([shown.moved.moved[-1] for shown in same])
    varies = np.ptp(alone) > 0 and np.ptp(moved) > 0
    told = f"correlation {np.corrcoef(alone, moved)[0, 1]:.3f} over {len(same)} attacks" if varies else "all the same"
    with styled():
        figure, axes = canvas(WIDTH, 3.0, palette)
        axes.scatter(alone, moved, s=14, color=palette.knowing)
        if np.ptp(alone) > 0:
            slope, start = np.polyfit(alone, moved, 1)
            ends = np.array([alone.min(), alone.max()])
            axes.plot(ends, start + slope * ends, color=palette.oblivious, linewidth=1.0)
        axes.set_title(told, fontsize=8, color=palette.ink)
        axes.set(xlabel="norm of what the change gives alone", ylabel="norm of what it moves")
    return Chart(title, told, figure)
