"""Compute columns from two rows of one system: the gain from knowing the defense, and a group's gain over PGD."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from ...attacks import PGD
from ..grid.bundles import Bundle
from ..grid.cells import Cell
from ..grid.described import Row, compact


class Made(NamedTuple):
    """A row with the cells that it is made from, and their bundle, None for the row of a single cell."""

    row: Row
    bundle: Bundle | None
    cells: Sequence[Cell]

    @property
    def attacks(self) -> Hashable:
        """A key that is equal for rows of the same attacks and parameters, whatever they know or are scored on."""
        kind = None if self.bundle is None else self.bundle.kind
        members = [(cell.job.attack_name, compact(cell.job.parameters), cell.job.seed) for cell in self.cells]
        return kind, tuple(members)

    @property
    def system(self) -> Hashable:
        return self.row["source_model"], self.cells[0].defense.digest

    @property
    def finished(self) -> bool:
        return self.row["status"] == "ok"


def with_differences(made: Sequence[Made]) -> list[Row]:
    """Return the rows of one network, with `gfr_gap` and `gfr_over_pgd10` filled in where both rows are finished.

    `gfr_gap` is in adaptive rows, `gfr_over_pgd10` in those of worst cases, if the same setting has plain PGD as well.
    """
    finished = [one for one in made if one.finished]
    oblivious = {(one.system, one.attacks): one for one in finished if one.row["knowledge"] == "oblivious"}
    pgd = {_threat(one): one for one in finished if _is_pgd10(one)}
    for one in finished:
        unknowing, plain = oblivious.get((one.system, one.attacks)), pgd.get(_threat(one))
        if one.row["knowledge"] == "adaptive" and unknowing is not None:
            one.row["gfr_gap"] = round(one.row["gfr"] - unknowing.row["gfr"], 2)
        if one.bundle is not None and one.bundle.kind == "worst case" and plain is not None:
            one.row["gfr_over_pgd10"] = round(one.row["gfr"] - plain.row["gfr"], 2)
    return [one.row for one in made]


def _threat(one: Made) -> Hashable:
    """Return a key for the system, the defense that the attack is crafted through, and its threat."""
    job = one.cells[0].job
    return one.system, job.through.digest, job.attack.threat


def _is_pgd10(one: Made) -> bool:
    """Return whether a row is of PGD with ten steps and defaults otherwise; with several seeds, only their mean is."""
    first = one.cells[0].job
    attack, kind = first.attack, None if one.bundle is None else one.bundle.kind
    if not isinstance(attack, PGD) or first.attack_name != "pgd" or kind != ("mean" if first.seeds > 1 else None):
        return False
    return attack == PGD(norm=attack.norm, eps=attack.eps, steps=10)
