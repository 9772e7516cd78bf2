"""The makers of the rows of a run: the versions and the hardware of all processes that contributed to each."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.files import is_file
from ..ledger.ledger import Ledger, Maker
from .manifest import manifest_of
from .results import LEDGER

Environment = Mapping[str, str]
"""Versions by package name, and hardware facts; values of several makers are joined, as in "1.0 and 2.0"."""


@dataclass(frozen=True, kw_only=True)
class Makers:
    """The makers of a run's rows.

    `last` is the environment of the process that last started the run; `known` are the makers of cells and of crafting
    jobs, by their names. Both are empty for a table without a manifest.
    """

    last: Environment = field(default_factory=dict)
    known: Mapping[str, Sequence[Maker]] = field(default_factory=dict)

    def of(self, row: Mapping[str, Any]) -> Environment:
        """Return the environment that made a leaderboard row; `last` if its own makers are unknown."""
        made = [maker for name in _names(row) for maker in self.known.get(name, ())]
        return _together(made) if made else self.last


def read_makers(path: Path) -> Makers:
    """Return the makers of the run in a folder, or of a table, whose manifest must be readable."""
    last = json.loads(manifest_of(path).read_text(encoding="utf-8"))
    known = {}
    if is_file(path / LEDGER):
        with closing(Ledger(path / LEDGER, read_only=True)) as ledger:
            known = ledger.makers()
    return Makers(last=_together([last]), known=known)


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a row's cells, and of the jobs that crafted for them, with which the `crafted` paths end."""
    yield from str(row["cell"]).split()
    for place in str(row["crafted"]).split():
        yield from re.findall(r"([0-9a-f]{16})(?:\.safetensors)?$", place)


def _together(makers: Sequence[Mapping[str, Any]]) -> Environment:
    found: dict[str, dict[str, None]] = {}
    for maker in makers:
        for name, value in {**maker.get("versions", {}), **maker.get("hardware", {})}.items():
            found.setdefault(name, {})[str(value)] = None
    return {name: " and ".join(values) for name, values in found.items()}
