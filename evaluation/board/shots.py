"""What a row's panel shows: the image before and after, what was changed, and what was said of each."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..engine.example import Answer, Example, read_example
from .board import Board, Row
from .pictures import Album

_NAMED = {
    "clean": "clean",
    "attacked": "attacked",
    "clean defended": "clean, defended",
    "attacked defended": "attacked, defended",
}


class Shot(NamedTuple):
    """A picture of the album. `said` is the network's answer, `fooled` whether it is another than to the clean."""

    picture: str
    caption: str
    said: str = ""
    fooled: bool = False


class Panel(NamedTuple):
    """`about` says what is seen, and of which attack of a group."""

    about: str
    shots: Sequence[Shot]


class Shots:
    """Of the rows of a board, as far as the folders of its runs have kept something."""

    def __init__(self, board: Board, album: Album) -> None:
        self._album = album
        self._attacks = {row["cell"]: row.attack for row in board.rows}

    def of(self, row: Row) -> Panel | None:
        """None where there is nothing to see; of a group the first attack that fooled, or the last one."""
        if not row.run.has_folder or not row.ok:
            return None
        cells = str(row["cell"] or "").split()
        found = {cell: example for cell in cells if (example := read_example(row.run.path, cell)) is not None}
        if not found:
            return None
        fooling = [cell for cell, example in found.items() if _fooled(example.answers, "")]
        cell = (fooling or list(found)[-1:])[0]
        example = found[cell]
        told = [f"evaluation image {example.sample}", *([f"in truth {example.truth}"] if example.truth else [])]
        told += [f"attacked by {self._attacks[cell]}"] if len(cells) > 1 else []
        return Panel(", ".join(told), list(self._shots(example)))

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
            fooled = asked == "attacked" and _fooled(example.answers, who)
            shots.append(Shot(picture, _NAMED[name], _told(answer), fooled))
        return shots


def _fooled(answers: Mapping[str, Answer], who: str) -> bool:
    clean, attacked = answers.get(f"{who}clean"), answers.get(f"{who}attacked")
    return clean is not None and attacked is not None and clean.label != attacked.label


def _told(answer: Answer | None) -> str:
    return "" if answer is None else f"{answer.label}, {100 * answer.confidence:.0f}%"
