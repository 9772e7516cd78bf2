"""Charts of fooling rates over the values of an attack's parameter, where a table has several of them.

Figure 8 of GD-UAP (https://arxiv.org/abs/1801.08092) is one: UAP over the number of its training images.
"""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ..leaderboard.grouping import grouped
from .board import Part, Row
from .charts import LINE, WIDTH, Chart, beyond
from .drawing import PAPER, Palette, canvas, harmless, name_beside, styled

ENOUGH = 3
"""The smallest number of values of a parameter for a chart."""
_WIDE = 8
"""The ratio of the largest to the smallest value from which on the scale is logarithmic."""


class _Sweep(NamedTuple):
    """Rows of one attack on one system that differ only in a numeric parameter, with its values in ascending order.

    `others` are the rows of other attacks on the system.
    """

    parameter: str
    rows: Sequence[tuple[float, Row]]
    others: Sequence[Row]


def sweep_charts(part: Part, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield a chart for each attack with several values of one parameter, other attacks as horizontal lines."""
    finished = [row for row in part.rows if row.ok and not row.transfers and not row.of_one_seed]
    systems = grouped(finished, lambda row: (row.defense, row["knowledge"], row["metric"], row["norm"], row["eps"]))
    for same in systems.values():
        for name, own in grouped(same, lambda row: row["attack"]).items():
            sweep = _sweep(own, [row for row in same if row["attack"] != name])
            if sweep is not None:
                yield _chart(f"{part.system(own[0])}: {name} by {sweep.parameter}", str(name), sweep, palette)


def varying(rows: Sequence[Row], column: str) -> tuple[str, Sequence[float]] | None:
    """Return the one numeric parameter in which rows differ, and its values, or None; `column` has all parameters."""
    told = [json.loads(row[column] or "{}") for row in rows]
    names = dict.fromkeys(name for parameters in told for name in parameters)
    differing = [name for name in names if len({json.dumps(parameters.get(name)) for parameters in told}) > 1]
    if len(differing) != 1 or len(rows) < ENOUGH:
        return None
    values = [parameters.get(differing[0]) for parameters in told]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return None
    return (differing[0], [*map(float, values)]) if len(set(values)) == len(values) else None


def _sweep(own: Sequence[Row], others: Sequence[Row]) -> _Sweep | None:
    found = varying(own, "attack_params")
    if found is None:
        return None
    parameter, values = found
    return _Sweep(parameter, sorted(zip(values, own, strict=True), key=lambda pair: pair[0]), others)


def _chart(title: str, name: str, sweep: _Sweep, palette: Palette) -> Chart:
    values = np.array([value for value, _ in sweep.rows])
    wide = values[0] > 0 and values[-1] >= _WIDE * values[0]
    places = np.log(values) if wide else values
    rates = np.array([row["gfr"] for _, row in sweep.rows])
    ends = np.array([beyond(row, "gfr") for _, row in sweep.rows])[..., 0].T
    last = float(places[-1])
    with styled():
        figure, axes = canvas(WIDTH, max(2.6, 0.8 + LINE * (1 + len(sweep.others))), palette)
        axes.errorbar(places, rates, yerr=ends, color=palette.knowing, linewidth=1.2, marker=".")
        for row in sweep.others:
            axes.plot(places[[0, -1]], [row["gfr"]] * 2, color=palette.oblivious, linestyle="--", linewidth=1.0)
        axes.set_xticks(places, [f"{value:g}" for value in values])
        axes.set(ylim=(-2, 102), xlabel=harmless(sweep.parameter), ylabel="fooled, %")
        names = [name, *(row.attack for row in sweep.others)]
        points = [(last, float(rates[-1])), *((last, float(row["gfr"])) for row in sweep.others)]
        name_beside(figure, axes, last + 0.06 * float(np.ptp(places)), names, points, palette)
    told = [f"{sweep.parameter} {value:g}: {row['gfr']:.1f}%" for value, row in sweep.rows]
    return Chart(title, "; ".join([*told, *(f"{row.attack}: {row['gfr']:.1f}%" for row in sweep.others)]), figure)
