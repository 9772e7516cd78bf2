"""The panel of a row: an example image before and after the attack, the perturbation, and the predictions."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..engine.scoring.example import Answer, Example, read_example
from .board import Board, Row
from .pictures import Album

_NAMED = {
    "clean": "clean",
    "attacked": "attacked",
    "clean defended": "clean, defended",
    "attacked defended": "attacked, defended",
}
_MAPS = {  # captions of a system's maps, alone and beside those of the bare network
    "truth": ("in truth", "in truth"),
    "bare clean": ("", "bare network, clean"),
    "bare attacked": ("", "bare network, attacked"),
    "clean": ("answer, clean", "defended, clean"),
    "attacked": ("answer, attacked", "defended, attacked"),
}


class Shot(NamedTuple):
    """A picture of the album; `said` is the prediction, `fooled` whether nothing remains of that for the clean one."""

    picture: str
    caption: str
    said: str = ""
    fooled: bool = False


class Panel(NamedTuple):
    """The pictures of a row.

    `about` describes the image and, in a group, names the attack. `maps` are predictions shown as pictures, and
    `legend` are their (name, colour) pairs.
    """

    about: str
    shots: Sequence[Shot]
    maps: Sequence[Shot]
    legend: Sequence[tuple[str, str]]


class Shots:
    """The panels of a board's rows, from the examples that are kept in the folders of its runs."""

    def __init__(self, board: Board, album: Album) -> None:
        self._album = album
        self._attacks = {row["cell"]: row.attack for row in board.rows}

    def of(self, row: Row) -> Panel | None:
        """Return a row's panel, or None without an example.

        For a group it shows the first of the attacks that changed the prediction most, or the last if none did.
        """
        if not row.run.has_folder or not row.ok:
            return None
        cells = str(row["cell"] or "").split()
        found = {cell: example for cell in cells if (example := read_example(row.run.path, cell)) is not None}
        if not found:
            return None
        kept = {cell: _kept(example.answers, "") for cell, example in found.items()}
        cell = min(kept, key=lambda cell: kept[cell]) if min(kept.values()) < 1 else list(found)[-1]
        example = found[cell]
        told = [f"evaluation image {example.sample}", *([f"in truth {example.truth}"] if example.truth else [])]
        told += [f"attacked by {self._attacks[cell]}"] if len(cells) > 1 else []
        chosen = "the first image that the bare network knows"
        if example.legend:
            chosen = "of the first images the one whose map the bare network knows best"
        return Panel(
            f"{', '.join(told)}: {chosen}", list(self._shots(example)), list(self._maps(example)), example.legend
        )

    def _shots(self, example: Example) -> Sequence[Shot]:
        defended = "attacked defended" in example.pictures
        shots = []
        for name in ("clean", "attacked", "change", "clean defended", "attacked defended"):
            if name not in example.pictures:
                continue
            picture = self._album.name(example.pictures[name])
            if name == "change":
                shots.append(Shot(picture, f"what was changed, times {example.amplified:g}"))
                continue
            asked = name.removesuffix(" defended")
            who = "bare " if defended and name == asked else ""
            answer = example.answers.get(f"{who}{asked}")
            fooled = asked == "attacked" and _kept(example.answers, who) == 0
            shots.append(Shot(picture, _NAMED[name], _told(answer), fooled))
        return shots

    def _maps(self, example: Example) -> Sequence[Shot]:
        defended = "attacked defended" in example.pictures
        shots = []
        for name, (alone, beside) in _MAPS.items():
            if (picture := example.pictures.get(f"{name} map")) is None:
                continue
            said = f"{100 * example.answers[name].kept:.0f}% as before" if name.endswith("attacked") else ""
            shots.append(Shot(self._album.name(picture), beside if defended else alone, said))
        return shots


def _kept(answers: Mapping[str, Answer], who: str) -> float:
    """Return the share of the clean prediction that remains under attack, in [0, 1]."""
    attacked = answers.get(f"{who}attacked")
    return 1.0 if attacked is None else attacked.kept


def _told(answer: Answer | None) -> str:
    return f"{answer.label}, {100 * answer.confidence:.0f}%" if answer is not None and answer.label else ""
