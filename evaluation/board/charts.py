"""The charts of a board: clean accuracy against fooling rate, oblivious against adaptive attacks, and heat maps."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..leaderboard.grouping import grouped
from ..report.matrices import Matrix
from .board import Part, Row
from .drawing import PAPER, Palette, canvas, harmless, name_beside, styled
from .worth import Worth, worths

WIDTH, LINE = 5.2, 0.21
"""The width of a chart, and the height of a line of its labels, in inches."""
_HEAT = LinearSegmentedColormap.from_list("heat", ["#fbf3ee", "#e8a07d", "#8f2416"])
_DARK = 60
"""The fooling rate in percent from which on the text of a cell is white."""


class Chart(NamedTuple):
    """A figure with its title, and a description of it as text."""

    title: str
    told: str
    figure: Figure


def tradeoffs(part: Part, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield the trade-off chart of each norm and budget."""
    for under in part.by_budget():
        if (chart := tradeoff(under, palette)) is not None:
            yield chart


def tradeoff(part: Part, palette: Palette = PAPER) -> Chart | None:
    """Return a chart of each system's clean rate and the fooling rate of the strongest attack, with 95% intervals.

    The marker is filled if an attack that knows the system was tried. Returns None without clean rates, which need
    labels, or with fewer than two systems.
    """
    found = [(worth, worth.clean, worth.strongest) for worth in worths(part.rows)]
    shown = [(worth, clean, attack) for worth, clean, attack in found if clean is not None and attack is not None]
    if len(shown) < 2:
        return None
    with styled():
        figure, axes = canvas(WIDTH, max(2.4, 0.8 + LINE * len(shown)), palette)
        for worth, clean, attack in shown:
            _point(axes, worth, clean, attack, palette)
        ends = [clean[end] for _, clean, _ in shown for end in ("clean_low", "clean_high")]
        (left, right), named = _clean_axis(shown[0][1], min(ends), max(ends))
        axes.set(xlim=(left, right), ylim=(-2, 102), xlabel=harmless(named), ylabel="fooled, %")
        points = [(clean["clean"], attack["gfr"]) for _, clean, attack in shown]
        names = [worth.defense for worth, _, _ in shown]
        name_beside(figure, axes, right + 0.03 * (right - left), names, points, palette)
    told = "; ".join(
        f"{worth.defense}: {_told_clean(clean)}, {attack['gfr']:.1f}% fooled by {attack.attack}"
        for worth, clean, attack in shown
    )
    return Chart(part.title, told, figure)


def slopes(part: Part, palette: Palette = PAPER) -> Iterator[Chart]:
    """Yield a chart for each attack that was run oblivious and adaptive: its fooling rates on each defense."""
    finished = [row for row in part.rows if row.ok and not row.transfers and not row.of_one_seed]
    for attack, rows in grouped(finished, lambda row: row.attack).items():
        by_defense = grouped(rows, lambda row: row.defense).values()
        known = [{row["knowledge"]: row for row in same} for same in by_defense]
        pairs = [(both["oblivious"], both["adaptive"]) for both in known if len(both) == 2]
        if pairs:
            yield _slope(f"{part.title}: {attack}", pairs, palette)


def heat_chart(heat: Matrix[Row], palette: Palette = PAPER) -> Chart:
    """Return a heat map of a matrix, with its numbers; higher fooling rates are darker."""
    names = max(len(name) for name in heat.columns)
    with styled():
        size = 1.6 + max(0.6 * len(heat.columns), 1.6), 0.6 + 0.26 * len(heat.lines) + 0.06 * names
        figure, axes = canvas(*size, palette)
        for (line, column), row in heat.cells.items():
            _cell(axes, heat.columns.index(column), heat.lines.index(line), row, palette)
        axes.set(xlim=(0, len(heat.columns)), ylim=(len(heat.lines), 0))
        slanted = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks([at + 0.5 for at in range(len(heat.columns))], [*map(harmless, heat.columns)], **slanted)
        axes.set_yticks([at + 0.5 for at in range(len(heat.lines))], [*map(harmless, heat.lines)])
        axes.tick_params(length=0)
    told = "; ".join(f"{line}, {column}: {_rate(row)}" for (line, column), row in heat.cells.items())
    return Chart(heat.title, told, figure)


def _clean_axis(row: Row, low: float, high: float) -> tuple[tuple[float, float], str]:
    """Return the limits and the label of an axis that shows clean rates from `low` to `high`."""
    if row["unit"] == "error":
        margin = 0.05 * (high - low) or 0.05 * high or 1.0
        return (max(0.0, low - margin), high + margin), f"{row['metric']} on clean images, an error"
    return (max(0.0, low - 1), min(101.0, high + 1)), "right on clean images, %"


def _told_clean(row: Row) -> str:
    number = f"{row['clean']:.{row.digits('clean')[0]}f}"
    return f"clean {row['metric']} {number}" if row["unit"] == "error" else f"{number}% right"


def _point(axes: Axes, worth: Worth, clean: Row, attack: Row, palette: Palette) -> None:
    known = worth.knowing is not None
    axes.errorbar(
        clean["clean"],
        attack["gfr"],
        xerr=beyond(clean, "clean"),
        yerr=beyond(attack, "gfr"),
        color=palette.knowing if known else palette.oblivious,
        ecolor=palette.pale,
        elinewidth=0.7,
        marker="s" if worth.bare else "o",
        markersize=5,
        markerfacecolor=None if known else "none",
    )


def beyond(row: Row, rate: str) -> tuple[list[float], list[float]]:
    """Return how far an interval reaches below and above its rate, at least 0 in spite of rounding."""
    return [max(0.0, row[rate] - row[f"{rate}_low"])], [max(0.0, row[f"{rate}_high"] - row[rate])]


def _slope(title: str, pairs: Sequence[tuple[Row, Row]], palette: Palette) -> Chart:
    with styled():
        figure, axes = canvas(WIDTH, max(2.4, 0.6 + LINE * len(pairs)), palette)
        for oblivious, adaptive in pairs:
            ends = [oblivious["gfr"], adaptive["gfr"]]
            rising = ends[1] >= ends[0]
            axes.plot([0, 1], ends, color=palette.pale, linewidth=1, linestyle="-" if rising else ":")
            axes.plot(0, ends[0], "o", color=palette.oblivious, markersize=4)
            axes.plot(1, ends[1], "o", color=palette.knowing, markersize=4)
        axes.set(xlim=(-0.1, 1.05), ylim=(-2, 102), ylabel="fooled, %")
        axes.set_xticks([0, 1], ["does not know\nthe defense", "knows it"])
        names = [adaptive.defense for _, adaptive in pairs]
        name_beside(figure, axes, 1.15, names, [(1, adaptive["gfr"]) for _, adaptive in pairs], palette)
    told = "; ".join(f"{known.defense}: {oblivious['gfr']:.1f}% to {known['gfr']:.1f}%" for oblivious, known in pairs)
    return Chart(title, told, figure)


def _cell(axes: Axes, column: int, line: int, row: Row, palette: Palette) -> None:
    shade = _HEAT(row["gfr"] / 100) if row.ok else "none"
    axes.fill_between([column, column + 1], line, line + 1, color=shade, linewidth=0)
    colour = "white" if row.ok and row["gfr"] >= _DARK else palette.ink
    axes.text(column + 0.5, line + 0.5, _rate(row), ha="center", va="center", color=colour, fontsize=8)


def _rate(row: Row) -> str:
    return f"{row['gfr']:.1f}{'*' if row.flags else ''}" if row.ok else str(row["status"])
