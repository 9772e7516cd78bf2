"""Units of work: frozen values that any process can carry out by name, and what comes of them.

A job and a cell are named by their keys, a defense by its digest. These are hashes of content and code, so a process
that has other code than the one that made the unit knows no such name.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from ....core.perturbation import Perturbation
from ...ledger.ledger import Costs, Maker
from ...ledger.record import Outcomes

Samples = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class _Unit:
    """`network` is the one that is asked most, `title` what people are told."""

    network: str
    title: str = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Look(_Unit):
    """See what the bare network makes of a shard's clean images. Gives a Seen."""

    samples: Samples


@dataclass(frozen=True, kw_only=True)
class Teach(_Unit):
    """Teach a defense of the network what it learns, unless it has been. Gives a Taught."""

    defense: str


@dataclass(frozen=True, kw_only=True)
class Search(_Unit):
    """Craft a universal perturbation. Gives a Found, or nothing where another process has kept one meanwhile."""

    job: str


@dataclass(frozen=True, kw_only=True)
class Score(_Unit):
    """Craft a shard of a job, unless it is kept, and score it through the defenses of some cells: a Scored for each."""

    job: str
    samples: Samples
    cells: tuple[str, ...]


Unit = Look | Teach | Search | Score


class Seen(NamedTuple):
    """`statistics` are those of the task's main metric, a row an image, None without labels. Of answers that are one
    class each, `said` are those of the network and `true` those of the labels. `flags` are those of the bare system.
    """

    statistics: Tensor | None
    said: frozenset[int]
    true: frozenset[int]
    flags: frozenset[str]


class Taught(NamedTuple):
    """The repr of the defense, with the hash of what it has learned."""

    defense: str


class Found(NamedTuple):
    """To be kept by who asked for it, costs first. `by` says who has searched for it, or has found it in the cache."""

    perturbation: Perturbation
    costs: Costs
    by: Maker


class Scored(NamedTuple):
    """A shard of a cell, and who has made it."""

    cell: str
    outcomes: Outcomes
    by: Maker


class Failed(NamedTuple):
    """What attack, defense or network raised, as one line; for all that waits for the unit where it names no `cell`."""

    message: str
    cell: str | None = None


class Ended(NamedTuple):
    """Nothing more comes of the unit."""


class Lost(NamedTuple):
    """Who carried the unit out is gone, for a reason that need not have to do with it.

    The unit is `suspect` where only the process is gone, and not its machine as well, or the way to it.
    """

    reason: str
    suspect: bool = True


Result = Seen | Taught | Found | Scored | Failed
