"""Drop all results that rest on a damaged note of the ledger, since nothing can vouch for them any more."""

import shutil
from pathlib import Path

from ...core.files import writing
from ...core.universal_attack import UniversalAttack
from ..grid.cells import Cell, Job
from ..ledger.ledger import Ledger
from .networks.prepare import Prepared


def renew(prepared: Prepared, ledger: Ledger, folder: Path) -> None:
    """Forget the scores of data sets, and of defenses that learn, whose notes in the ledger are damaged.

    What was crafted through such a defense is removed as well. Other adversarial images stay, since their budget around
    the clean images is checked whenever they are used. The notes are removed last, so that a process that is killed
    here starts over. Raises OutputError if something cannot be removed.
    """
    grid, identities = prepared.grid, prepared.facts.identities
    data = {known["data"] for known in identities.values() if ledger.lacks_glimpse(known["data"])}

    def attacked(job: Job) -> str:
        return job.through.before(identities[job.source])

    def scored(cell: Cell) -> str:
        return cell.defense.before(identities[cell.model])

    known = {attacked(job) for job, _ in grid.rows} | {scored(cell) for _, row in grid.rows for cell in row}
    systems = set(filter(ledger.lacks_learned, known))
    if not data and not systems:
        return
    for job, row in grid.rows:
        crafted_anew = attacked(job) in systems
        if crafted_anew:
            _remove(folder / grid.place(job), job)
        for cell in row:
            of_data = {identities[name]["data"] for name in (job.source, cell.model)}
            if crafted_anew or scored(cell) in systems or of_data & data:
                ledger.forget(grid.key(cell))
    for system in systems:
        ledger.forget_learned(system)
    for fingerprint in data:
        ledger.forget_glimpse(fingerprint)


def _remove(place: Path, job: Job) -> None:
    """Remove what a job has crafted. Raises OutputError if that fails."""
    with writing(place):
        if isinstance(job.attack, UniversalAttack):
            for path in place.parent.glob(f"{place.stem}.*"):
                path.unlink(missing_ok=True)
        elif place.is_dir():
            shutil.rmtree(place)
