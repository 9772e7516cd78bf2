"""What rests on a damaged fact of the ledger is made anew: nothing can vouch for it any more."""

import shutil
from pathlib import Path

from ...core.attack import UniversalAttack
from ...core.files import writing
from ..grid.cells import Cell, Job
from ..ledger.ledger import Ledger
from .networks.prepare import Prepared


def renew(prepared: Prepared, ledger: Ledger, folder: Path) -> None:
    """Forget the scores of data, and of defenses that learn, where the ledger has lost what they were.

    What was crafted through such a defense goes as well. Other images stay: they are held to their budget around the
    clean ones whenever they are used. The facts go last, so that a process which is killed here begins again.
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
    """Remove what a job has crafted. Raises OutputError where that cannot be done."""
    with writing(place):
        if isinstance(job.attack, UniversalAttack):
            for path in place.parent.glob(f"{place.stem}.*"):
                path.unlink(missing_ok=True)
        elif place.is_dir():
            shutil.rmtree(place)
