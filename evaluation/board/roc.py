"""ROC curves of detectors: attacked images rejected over clean images rejected, where there are several thresholds."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..leaderboard.grouping import grouped
from .board import Part, Row
from .charts import LINE, WIDTH, Chart, beyond
from .drawing import PAPER, Palette, canvas, harmless, name_beside, styled
from .sweeps import varying


def roc_charts(part: Part, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield a chart for each detector with several values of one parameter, with a curve for each attack."""
    found = [row for row in part.rows if row.ok and not row.transfers and not row.of_one_seed]
    rejecting = [row for row in found if row["detected"] is not None and row["knowledge"] != "crossed"]
    for detector, rows in grouped(rejecting, lambda row: row["defense"]).items():
        attacks = grouped(rows, lambda row: (row.attack, row["knowledge"], row["metric"], row["norm"], row["eps"]))
        curves = {
            f"{attack}, {knowledge}": sorted(same, key=lambda row: row["rejected_clean"])
            for (attack, knowledge, *_), same in attacks.items()
            if varying(same, "defense_params") is not None and len({row["rejected_clean"] for row in same}) > 1
        }
        if curves:
            yield _chart(f"{part.title}: {detector}", curves, palette)


def _chart(title: str, curves: Mapping[str, Sequence[Row]], palette: Palette) -> Chart:
    ends = [(same[-1]["rejected_clean"], same[-1]["detected"]) for same in curves.values()]
    right = max(1.0, *(row["rejected_clean_high"] for same in curves.values() for row in same))
    with styled():
        figure, axes = canvas(WIDTH, max(2.6, 0.8 + LINE * len(curves)), palette)
        axes.plot([0, right], [0, right], color=palette.pale, linestyle=":", linewidth=0.8)
        for same in curves.values():
            axes.errorbar(
                [row["rejected_clean"] for row in same],
                [row["detected"] for row in same],
                xerr=_beyond(same, "rejected_clean"),
                yerr=_beyond(same, "detected"),
                color=palette.knowing if same[0].adaptive else palette.oblivious,
                linewidth=1.2,
                elinewidth=0.7,
                marker=".",
            )
        axes.set(xlim=(0, right), ylim=(-2, 102), xlabel="clean images rejected, %", ylabel="attacked rejected, %")
        name_beside(figure, axes, 1.04 * right, [*map(harmless, curves)], ends, palette)
    return Chart(title, "; ".join(f"{name}: {_told(same)}" for name, same in curves.items()), figure)


def _told(rows: Sequence[Row]) -> str:
    return ", ".join(f"{row['detected']:.1f}% at {row['rejected_clean']:.1f}%" for row in rows)


def _beyond(rows: Sequence[Row], rate: str) -> NDArray[np.float64]:
    """Return how far the intervals reach below and above their rates, (2, rows)."""
    return np.array([beyond(row, rate) for row in rows])[..., 0].T
