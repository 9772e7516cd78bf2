"""Recompute rows of a leaderboard with the code that runs recipes, and compare them with the claimed ones."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from rich.console import Console

from ...core.errors import ConfigError, FoolbenchError
from ..engine.cache.cache import Cache
from ..leaderboard.grouping import grouped
from ..leaderboard.part import TextRow, crafting, part_of, together
from ..ledger.ledger import Ledger
from ..opening.consistency import check_consistency
from ..recipe.recipe import Recipe
from .agreement import Deviation, deviations
from .claims import NAMED_BY, Claims, read_rows
from .execution import execute
from .makers import read_makers
from .manifest import read_manifest
from .origins import Origins
from .results import CSV, LEDGER


class Verification(NamedTuple):
    """The outcome for one row, with its number in the table, counted from 1.

    `deviations` are the numbers that differ, and `reasons` are possible causes, each a sentence.
    """

    number: int
    row: TextRow
    holds: bool
    deviations: Sequence[Deviation] = ()
    reasons: Sequence[str] = ()


def verify(claims: Claims, numbers: Sequence[int], device: str, console: Console) -> Iterator[Verification]:
    """Yield a verdict for each of the rows; rows whose images are crafted together follow each other.

    Errors in a row become its verdict. Raises KeyboardInterrupt if the computation is interrupted.
    """
    parts: dict[int, Recipe] = {}
    for number in numbers:
        row = claims.rows[number - 1]
        try:
            parts[number] = part_of(claims.recipe, row)
        except ConfigError as error:
            yield Verification(number, row, holds=False, reasons=[str(error)])
    with TemporaryDirectory(prefix="foolbench-") as name:
        folder = Path(name)
        _remember(claims, folder)
        for same in grouped(parts, lambda number: crafting(parts[number])).values():
            rows = {number: claims.rows[number - 1] for number in same}
            yield from _of_part(claims, together([parts[number] for number in same]), rows, folder, device, console)


def _remember(claims: Claims, folder: Path) -> None:
    """Copy what the run recorded of its networks, data and defenses, so that they are recognised despite rounding."""
    if claims.ledger is not None:
        with (
            closing(Ledger(claims.ledger, read_only=True)) as known,
            closing(Ledger(folder / LEDGER)) as scratch,
        ):
            scratch.take_over(known)


def _of_part(
    claims: Claims, part: Recipe, rows: Mapping[int, TextRow], folder: Path, device: str, console: Console
) -> Iterator[Verification]:
    try:
        check_consistency(part)
        interrupted = execute(part, folder, device, console, cache=Cache.default(), crafted_anew=True).interrupted
    except FoolbenchError as error:
        for number, row in rows.items():
            yield Verification(number, row, holds=False, reasons=[f"It cannot be computed here: {error}"])
        return
    if interrupted:
        raise KeyboardInterrupt
    found, identities = read_rows(folder / CSV), read_manifest(folder)[1].identities
    makers = read_makers(folder)
    for number, row in rows.items():
        nearest = min(found, key=lambda one: len(_misnamed(row, one)))
        yield _verdict(number, row, nearest, Origins.of(claims, part, row, nearest, identities, makers.of(nearest)))


def _misnamed(claimed: TextRow, found: TextRow) -> list[str]:
    """Return the columns that identify a cell and differ between the two rows."""
    return [column for column in NAMED_BY if claimed.get(column, "") != found.get(column, "")]


def _verdict(number: int, claimed: TextRow, found: TextRow, origins: Origins) -> Verification:
    misnamed = [
        f"{column} is {found.get(column, '')!r}, not {claimed.get(column, '')!r}."
        for column in _misnamed(claimed, found)
    ]
    if misnamed:
        return Verification(number, claimed, holds=False, reasons=misnamed)
    if claimed["status"] != "ok" or found["status"] != "ok":
        return _unfinished(number, claimed, found, origins)
    off = deviations(claimed, found, chance=origins.chance)
    holds = all(one.explained for one in off) and not origins.others
    reasons = [*origins.others, *origins.changes, *(origins.elsewhere if off else ())]
    if not reasons and not holds:
        reasons = ["All that is known of what decides it is as it was: the table does not say what was found."]
    return Verification(number, claimed, holds, off, reasons)


def _unfinished(number: int, claimed: TextRow, found: TextRow, origins: Origins) -> Verification:
    """Return the verdict for a row that failed then or now; an error is a claim as well, and holds if it recurs."""
    if claimed["status"] not in ("ok", "error"):
        return Verification(
            number, claimed, holds=False, reasons=[f"It claims nothing: its status is {claimed['status']}."]
        )
    failed = found["status"] != "ok"
    if failed and claimed["status"] == "error":
        return Verification(number, claimed, holds=True, reasons=[f"It fails here, too: {found['error']}"])
    seen = f"It fails here: {found['error']}" if failed else "It failed then, and does not fail here."
    return Verification(
        number, claimed, holds=False, reasons=[seen, *origins.others, *origins.changes, *origins.elsewhere]
    )
