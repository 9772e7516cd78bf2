"""What a row was made from, and what of it is another now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.attack import UniversalAttack
from ..grid.cells import Cell, Job
from ..grid.grid import Grid
from ..grid.identity import TRAINING, Identities
from ..leaderboard.part import TextRow
from ..recipe.recipe import Recipe
from .claims import Claims
from .makers import Environment

_COLUMNS = ("model_sha", "behaviour")
"""What a row itself says of its network."""


@dataclass(frozen=True, kw_only=True)
class Origins:
    """`others`: it is of another network, or of other data. `changes`: the code behind it is another. `elsewhere`: so
    are versions or hardware. Each a sentence. `chance`: whether random draws, or a long search, have a part in it.
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
        """Of a claimed row, and the one that was found now by that part of the recipe."""
        wanted = found["cell"].split()
        made_by = [cell for key, cell in Grid(part, identities).cells.items() if key in wanted]
        others, doubts = [], []
        for name in dict.fromkeys([claimed["source_model"], claimed["model"]]):
            if not identities[name]["model_sha"]:
                continue  # it could not be loaded, as the row says
            told = {column: claimed[column] for column in _COLUMNS} if name == claimed["model"] else {}
            then = {**(claims.identities or {}).get(name, {}), **told}
            others += _others(name, then, identities[name])
            if then.get("behaviour", "") not in ("", identities[name]["behaviour"]):
                sentence = f"{name} does not answer to fixed images as it did."
                (doubts if claims.ledger is None else others).append(sentence)  # unless rounding did that
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
    """The names of records and files are hashes of facts and of code: with the facts of then, those differ by code."""
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
    """Rounding alone can send a search another way, of a universal perturbation most of all."""
    defenses = (cell.defense.defense, cell.job.through.defense)
    drawn = any(defense is not None and defense.randomized for defense in defenses)
    return drawn or any(_searches(job) for job in _chain(cell.job))


def _searches(job: Job) -> bool:
    return isinstance(job.attack, UniversalAttack) or job.attack.randomized


def _chain(job: Job | None) -> Iterator[Job]:
    """A member of an ensemble goes on from those before it."""
    while job is not None:
        yield job
        job = job.after
