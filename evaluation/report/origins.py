"""Find what a claimed row was made from that has changed: network, data, code, versions or hardware."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.universal_attack import UniversalAttack
from ..grid.cells import Cell, Job
from ..grid.grid import Grid
from ..grid.identity import TRAINING, Identities
from ..leaderboard.part import TextRow
from ..recipe.recipe import Recipe
from .claims import Claims
from .makers import Environment

_COLUMNS = ("model_sha", "behaviour")
"""The columns of a row that identify its network."""


@dataclass(frozen=True, kw_only=True)
class Origins:
    """The differences between the origins of a claimed row and of the row found now, each a sentence.

    `others` says that the network or the data differ, `changes` that the code does, `elsewhere` that versions or
    hardware do. `chance` says whether random draws, or a long search, affect the row.
    """

    others: Sequence[str]
    changes: Sequence[str]
    elsewhere: Sequence[str]
    chance: bool

    @classmethod
    def of(
        cls,
        claims: Claims,
        part: Recipe,
        claimed: TextRow,
        found: TextRow,
        identities: Identities,
        environment: Environment,
    ) -> "Origins":
        """Compare a claimed row with the row that `part`, the part of the recipe that it is of, has given now."""
        wanted = found["cell"].split()
        made_by = [cell for key, cell in Grid(part, identities).cells.items() if key in wanted]
        others, doubts = [], []
        for name in dict.fromkeys([claimed["source_model"], claimed["model"]]):
            if not identities[name]["model_sha"]:
                continue  # it could not be loaded, which the row's error says
            told = {column: claimed[column] for column in _COLUMNS} if name == claimed["model"] else {}
            then = {**(claims.identities or {}).get(name, {}), **told}
            others += _others(name, then, identities[name])
            if then.get("behaviour", "") not in ("", identities[name]["behaviour"]):
                sentence = f"{name} does not answer to fixed images as it did."
                # without the ledger, rounding may be the cause: a doubt, not another network
                (doubts if claims.ledger is None else others).append(sentence)
        return cls(
            others=others,
            changes=[*doubts, *_code(claims, claimed, made_by, identities)],
            elsewhere=_elsewhere(claims.makers.of(claimed), environment),
            chance=any(_chance(cell) for cell in made_by),
        )


def _others(name: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    facts = {"data": f"The data for {name} are others: fingerprint", "model_sha": f"{name} is another network: hash"}
    for fact, sentence in facts.items():
        if then.get(fact, now[fact]) != now[fact]:
            yield f"{sentence} {now[fact]}, not {then[fact]}."
    seen, known = now.get(TRAINING, {}), then.get(TRAINING, {})
    for label in seen:
        if seen[label] != known.get(label, seen[label]):
            whose = f" of {label}" if label else ""
            yield f"The training images{whose} for {name} are others: fingerprint {seen[label]}, not {known[label]}."


def _code(claims: Claims, claimed: TextRow, made_by: Sequence[Cell], identities: Identities) -> Iterator[str]:
    """Yield a sentence if the code behind a row has changed.

    The names of records and files are hashes of facts and of code: computed with the claimed run's facts, they differ
    only if the code does.
    """
    if claims.identities is None:
        what = "code, the data or the version of foolbench"
    else:
        identities, what = claims.identities, "code"
    if {str(cell.job.place(identities)) for cell in made_by} != set(claimed["crafted"].split()):
        known = {"adaptive": claimed["defense"], "crossed": claimed.get("source_defense")}.get(claimed["knowledge"])
        through = f" or {known}" if known else ""
        yield f"The {what} behind {claimed['attack']}{through} is another now."
    elif {cell.key(identities) for cell in made_by} != set(claimed["cell"].split()):
        yield f"The {what} behind {claimed['defense']} is another now."


def _elsewhere(then: Environment, now: Environment) -> list[str]:
    changed = [name for name in then if then[name] != now.get(name, "none")]
    told = ", ".join(f"{name} {then[name]} (here {now.get(name, 'none')})" for name in changed)
    return [f"It was made elsewhere: {told}."] if told else []


def _chance(cell: Cell) -> bool:
    """Return whether a cell is randomized or has a search, which rounding alone can lead elsewhere."""
    defenses = (cell.defense.defense, cell.job.through.defense)
    drawn = any(defense is not None and defense.randomized for defense in defenses)
    return drawn or any(_searches(job) for job in _chain(cell.job))


def _searches(job: Job) -> bool:
    return isinstance(job.attack, UniversalAttack) or job.attack.randomized


def _chain(job: Job | None) -> Iterator[Job]:
    """Yield a job and those it continues from: a member of an ensemble starts from the images of those before it."""
    while job is not None:
        yield job
        job = job.after
