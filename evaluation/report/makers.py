"""By whom the rows of a run were made: versions and hardware, of each row those of all who had a part in it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.files import is_file
from ..ledger.ledger import Ledger, Maker
from .manifest import MANIFEST
from .results import LEDGER

Environment = Mapping[str, str]
"""Versions by what pip calls each, and facts of the hardware. Where several have a part, "1.0 and 2.0"."""


@dataclass(frozen=True, kw_only=True)
class Makers:
    """`last` is the environment of who began the run last; `known` are the makers of cells and of searched jobs.

    A table alone knows none.
    """

    last: Environment = field(default_factory=dict)
    known: Mapping[str, Sequence[Maker]] = field(default_factory=dict)

    def of(self, row: Mapping[str, Any]) -> Environment:
        """Of a row of the leaderboard; the last where nothing is known of its own."""
        made = [maker for name in _names(row) for maker in self.known.get(name, ())]
        return _together(made) if made else self.last


def read_makers(folder: Path) -> Makers:
    """Of the folder of a run, whose manifest can be read."""
    last = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    known = {}
    if is_file(folder / LEDGER):
        with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
            known = ledger.makers()
    return Makers(last=_together([last]), known=known)


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    """Of the cells of a row, and of the jobs that have crafted for them, with whose names their places end."""
    yield from str(row["cell"]).split()
    for place in str(row["crafted"]).split():
        yield from re.findall(r"([0-9a-f]{16})(?:\.safetensors)?$", place)


def _together(makers: Sequence[Mapping[str, Any]]) -> Environment:
    found: dict[str, dict[str, None]] = {}
    for maker in makers:
        for name, value in {**maker.get("versions", {}), **maker.get("hardware", {})}.items():
            found.setdefault(name, {})[str(value)] = None
    return {name: " and ".join(values) for name, values in found.items()}
