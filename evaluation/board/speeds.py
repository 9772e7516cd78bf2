"""Render a speed table as one self-contained HTML file without scripts."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from ...core.words import budget
from .page import style, template

_NONE = "none"
_HEADINGS = {"attack": "attacks on the bare network", "defense": "the network behind defenses"}


class _Line(NamedTuple):
    """A row as the page shows it; `share` is the length of its bar in percent, 100 for the fastest of its section."""

    name: str
    bare: bool
    share: float
    rate: str
    ratio: str
    seconds: str
    low: str
    high: str
    images: int
    rounds: int
    parameters: str


class _Section(NamedTuple):
    title: str
    kind: str
    lines: list[_Line]


def speed_page(table: pd.DataFrame, path: Path) -> str:
    """Return the HTML page of a speed table, as `speed_table` makes it of the file at `path`."""
    shared = {name: str(table[name].iloc[0]) for name in ("device", "machine") if len(set(table[name])) == 1}
    text = template("speed.html.j2").render(
        title="Speed",
        shared={name: value for name, value in shared.items() if value},
        sections=list(_sections(table)),
        path=path,
        scripts="'none'",
        style=Markup(style()),
    )
    return text.encode("utf-8", "replace").decode()  # a file name may not be valid UTF-8


def _sections(table: pd.DataFrame) -> Iterator[_Section]:
    several = len(set(table.device)) > 1
    for _, rows in table.groupby(["model", "device"], sort=False):
        model, device = rows[["model", "device"]].iloc[0]
        where = f"{model} on {device}" if several else model
        bare = rows[(rows.kind == "defense") & (rows.name == _NONE)]
        answers = float((bare.seconds / bare.images).iloc[0]) if len(bare) else math.nan
        for kind, own in rows.groupby("kind", sort=False):
            fastest = float(own.images_per_second.max())
            lines = [_line(row, fastest, answers) for row in own.to_dict("records")]
            yield _Section(f"{where}: {_HEADINGS[str(kind)]}", str(kind), lines)


def _line(row: dict[Any, Any], fastest: float, answers: float) -> _Line:
    ratio = row["seconds"] / row["images"] / answers
    return _Line(
        name=row["name"],
        bare=row["name"] == _NONE,
        share=100 * row["images_per_second"] / fastest,
        rate=f"{row['images_per_second']:,.1f}" if row["images_per_second"] >= 1 else f"{row['images_per_second']:.3g}",
        ratio="" if math.isnan(ratio) else f"{ratio:,.1f}×",
        seconds=f"{row['seconds']:.4g}",
        low=f"{row['seconds_low']:.4g}",
        high=f"{row['seconds_high']:.4g}",
        images=row["images"],
        rounds=row["rounds"],
        parameters=_parameters(row),
    )


def _parameters(row: dict[Any, Any]) -> str:
    """Return the parameters of a row, with the budget of an attack, as `name = value`."""
    told: dict[str, Any] = json.loads(row["params"])
    if row["kind"] == "attack":
        told = {"norm": row["norm"], "eps": budget(row["eps"])} | told
    return ", ".join(f"{name} = {value}" for name, value in told.items() if value is not None)
