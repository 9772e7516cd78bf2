"""Render a board as one self-contained HTML file, readable without a network connection and without JavaScript.

Names cannot inject code: the template escapes everything, and the page's content security policy allows no script but
its own, by its hash.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from ..leaderboard.curve import Axis
from ..leaderboard.flags import FLAGS
from ..report.published import HEADING, beside
from .board import Board, Part
from .charts import Chart, slopes, tradeoffs
from .citation import bibtex, cited, sources
from .columns import Column, columns, explained, facts, network, shown
from .command import commands, told
from .curves import curve_charts
from .drawing import PAGE, harmless, svg
from .heat import crossings, heatmap, transfers
from .layers import layer_charts
from .pictures import Album, Encoded
from .roc import roc_charts
from .shots import Shots
from .sweeps import sweep_charts
from .worth import verdict, worths

SLOPES, CURVES = 12, 12
"""The maximal numbers of slope charts, and of charts of each kind of curve: nobody reads more."""
MOST = 2_900_000
"""The maximal page size in bytes: pictures are compressed into it, and left out if the text alone exceeds it."""
RULE = 100
"""The bytes of a picture's CSS rule, without the picture itself."""
SMALL = 64
"""The size in pixels below which a picture is enlarged without smoothing."""
_PICTURES = "/* pictures */"
_HERE = Path(__file__).parent


class _Drawn(NamedTuple):
    title: str
    told: str
    svg: Markup


def page(board: Board) -> str:
    """Return the HTML page of a board."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    album, budgets = Album(), [part for whole in board.parts for part in whole.by_budget()]
    known = [(part, worths(part.rows)) for part in budgets]
    shots, charted = Shots(board, album), of_main_metrics(board.parts)
    found: dict[str, Any] = {
        "title": " + ".join(dict.fromkeys(str(row["recipe"]).partition(" (")[0] for row in board.rows)),
        "described": [text for text in dict.fromkeys(_described(board)) if text],
        "worth": [(part, found, verdict(found)) for part, found in known],
        "tradeoffs": list(_drawn("t", (chart for part in charted for chart in tradeoffs(part, PAGE)))),
        "slopes": list(_drawn("s", islice((chart for part in charted for chart in slopes(part, PAGE)), SLOPES))),
        "curves": list(_drawn("c", _curves(board, "eps"))),
        "queries": list(_drawn("q", _curves(board, "queries"))),
        "sweeps": list(_drawn("w", islice((chart for part in charted for chart in sweep_charts(part, PAGE)), CURVES))),
        "rocs": list(_drawn("r", islice((chart for part in charted for chart in roc_charts(part, PAGE)), CURVES))),
        "layers": list(_drawn("l", islice((c for part in board.parts for c in layer_charts(part, PAGE)), CURVES))),
        "heats": [heat for part in board.parts if (heat := heatmap(part))],
        "transfers": transfers(board.parts),
        "crossings": [heat for part in board.parts for heat in crossings(part)],
        "published": beside(board.frame()),
        "panels": [(row, shots.of(row)) for row in board.rows],
        "failed": [row for row in board.rows if not row.ok],
        "raised": {flag.partition(":")[0] for row in board.rows for flag in row.flags},
    }
    text = template("page.html.j2").render(
        **found,
        board=board,
        heading=HEADING,
        columns=columns(board),
        pictures=_PICTURES,
        seen=Markup(_unseen(columns(board))),
        network=network,
        told=told,
        flags=FLAGS,
        facts=facts,
        commands=commands,
        cited=cited,
        sources=sources,
        bibtex=[bibtex(run) for run in board.runs],
        script=Markup(script),
        scripts=Markup(f"'sha256-{_hash(script)}'"),
        style=Markup(style()),
    )
    whole = text.encode("utf-8", "replace").decode()  # file names may not be valid UTF-8
    left = MOST - len(whole.encode()) - RULE * len(album)
    return whole.replace(_PICTURES, _rules(album.encoded(left)), 1)


@cache
def template(name: str) -> Template:
    """Return a template of this folder; whatever it shows is escaped."""
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "explained": explained}
    return environment.get_template(name)


def style() -> str:
    """Return the style sheet of all pages."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def of_main_metrics(parts: Sequence[Part]) -> Sequence[Part]:
    """Return the parts of each network's main metric, the ones with charts; the other metrics have tables only.

    A chart takes a fifth of a second, and a depth task has 21 metrics.
    """
    main: dict[str, Any] = {}
    for part in parts:
        main.setdefault(part.model, part.rows[0]["metric"])
    return [part for part in parts if part.rows[0]["metric"] == main[part.model]]


def _unseen(found: Iterable[Column]) -> str:
    """Return the CSS that hides the columns that are not chosen; the table's first column is the row number."""
    hidden = [f"#table tr>:nth-child({at})" for at, column in enumerate(found, start=2) if not column.chosen]
    return f"{','.join(hidden)}{{display:none}}" if hidden else ""


def _rules(pictures: Mapping[str, Encoded]) -> str:
    """Return a CSS rule for each picture, so that the page contains it once; small ones are not smoothed."""
    return "\n".join(
        f".{name}{{background-image:url({one.uri});aspect-ratio:{one.width}/{one.height}"
        f"{';image-rendering:pixelated' if max(one.width, one.height) < SMALL else ''}}}"
        for name, one in pictures.items()
    )


def _described(board: Board) -> Iterator[str]:
    """Yield the description of each row's recipe, with the overrides that changed it."""
    for row in board.rows:
        told = row.run.recipe.description if row.run.recipe else ""
        changed = str(row["recipe"]).partition(" (")[2].removesuffix(")")
        yield " ".join(filter(None, [told, f"Changed: {changed}." if changed else ""]))


def _curves(board: Board, over: Axis) -> Iterator[Chart]:
    return islice((chart for part in board.parts for chart in curve_charts(part, over, PAGE)), CURVES)


def _drawn(prefix: str, charts: Iterable[Chart]) -> Iterator[_Drawn]:
    for number, chart in enumerate(charts):
        yield _Drawn(harmless(chart.title), harmless(chart.told), Markup(svg(chart.figure, name=f"{prefix}{number}")))


def _hash(script: str) -> str:
    """Return the base64 SHA-256 of a script, as a content security policy states it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
