"""The curves of a board: fooling rate over the budget or the number of queries, as a table and as charts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from ...core.words import budget
from ..leaderboard.columns import CELL
from ..leaderboard.curve import WORST, Axis, Curve
from ..leaderboard.grouping import grouped
from .board import Board, Part, Row
from .charts import LINE, WIDTH, Chart
from .drawing import PAPER, Palette, canvas, name_beside, styled

COLUMNS = (*(name for name in CELL if name not in ("source_model", "eps")), "metric")
"""The first columns of curves.csv, as in leaderboard.csv; `eps`, `queries`, the rates and the `cell` follow.

`queries` is empty for a curve over budgets, and `eps` is constant for one over queries.
"""
_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shown:
    """A curve with a row of the board that it belongs to, and the name of its attack on the board."""

    row: Row
    attack: str
    curve: Curve

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.curve.points[-1]), 100 * self.curve.rates[-1].mean


def curve_table(board: Board) -> pd.DataFrame:
    """Return a line for each point of each curve, rates in percent."""
    lines = [
        {name: shown.curve.facts[name] for name in COLUMNS}
        | {"eps": shown.curve.facts["eps"], "queries": None, shown.curve.over: point}
        | {"gfr": 100 * rate.mean, "gfr_low": 100 * rate.low, "gfr_high": 100 * rate.high}
        | {"cell": " ".join(shown.curve.cells)}
        for part in board.parts
        for shown in _shown(part)
        for point, rate in zip(shown.curve.points, shown.curve.rates, strict=True)
    ]
    table = pd.DataFrame(lines).round({"eps": 6, "gfr": 2, "gfr_low": 2, "gfr_high": 2})
    return table.astype({"queries": "Int64"})


def curve_charts(part: Part, over: Axis, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield charts of the curves over budgets for each norm, or over queries for each norm and eps.

    The first chart has the strongest attack on each system, if there are several systems; then each system has a chart
    of all its attacks.
    """
    shown = [shown for shown in _shown(part) if shown.curve.over == over and not shown.row.crossed]
    for under, same in grouped(shown, _under).items():
        axis = f"budget, {under}" if over == "eps" else "queries for each image"
        by_system = grouped(same, lambda shown: shown.row.defense)
        if len(by_system) > 1:
            strongest = [_strongest(defense, found) for defense, found in by_system.items()]
            yield _chart(f"{part.title}: strongest on each system, {under}", axis, strongest, palette)
        for found in by_system.values():
            title = f"{part.system(found[0].row)}, {under}"
            yield _chart(title, axis, [(shown.attack, shown) for shown in found], palette)


def _strongest(defense: str, found: Sequence[_Shown]) -> tuple[str, _Shown]:
    """Return the name and the curve of a system's worst case, or else of the attack that fools most.

    Of several worst cases, from several runs, the highest is taken.
    """
    best = max(found, key=lambda shown: (shown.curve.is_worst_case, shown.ends[1]))
    return defense if best.curve.is_worst_case else f"{defense}: {best.attack}", best


def _under(shown: _Shown) -> str:
    """Return the norm, or norm and eps, that the curves of a chart share."""
    norm, eps = shown.curve.facts["norm"], shown.curve.facts["eps"]
    return norm if shown.curve.over == "eps" else f"{norm} {budget(eps)}"


def _shown(part: Part) -> list[_Shown]:
    """Return the curves of a part; those whose row the board left out as a repetition are left out with it."""
    # reversed: of rows of one cell the first wins, an attack's before that of a group of it alone
    rows = {(row.run.path, row["cell"], row["metric"]): row for row in reversed(part.rows)}
    found = []
    for run in dict.fromkeys(row.run.path for row in part.rows):
        for curve in next(row.run for row in part.rows if row.run.path == run).curves:
            row = rows.get((run, curve.cells[0], curve.facts["metric"]))
            if row is not None:
                found.append(_Shown(row=row, attack=WORST if curve.is_worst_case else row.attack, curve=curve))
    return found


def _chart(title: str, axis: str, named: Sequence[tuple[str, _Shown]], palette: Palette) -> Chart:
    with styled():
        figure, axes = canvas(WIDTH, max(2.4, 0.6 + LINE * len(named)), palette)
        for place, (name, shown) in enumerate(named):
            _line(axes, shown.curve, place, palette, thick=name == WORST)
        reach = max(shown.ends[0] for _, shown in named)
        axes.set(xlim=(0, reach), ylim=(-2, 102), xlabel=axis, ylabel="fooled, %")
        name_beside(
            figure, axes, 1.03 * reach, [name for name, _ in named], [shown.ends for _, shown in named], palette
        )
    told = "; ".join(f"{name}: {_halves(shown.curve)}" for name, shown in named)
    return Chart(title, told, figure)


def _line(axes: Axes, curve: Curve, place: int, palette: Palette, *, thick: bool) -> None:
    rates = [100 * rate.mean for rate in curve.rates]
    colour = palette.ink if thick else (palette.knowing, palette.oblivious)[place % 2]
    style = "-" if thick else _STYLES[place // 2 % len(_STYLES)]
    axes.step(curve.points, rates, where="post", color=colour, linewidth=1.8 if thick else 1.1, linestyle=style)


def _halves(curve: Curve) -> str:
    """Return in words at which point half of the images are fooled, and the rate at the last point."""
    whole = f"{100 * curve.rates[-1].mean:.1f}% at {budget(curve.points[-1])}"
    half = next((point for point, rate in zip(curve.points, curve.rates, strict=True) if rate.mean >= 0.5), None)
    return whole if half is None else f"half are fooled at {budget(half)}, {whole}"
