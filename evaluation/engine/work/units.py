"""Units of work, which are frozen values that any process can carry out by name, and their results.

Jobs and cells are named by their keys, defenses by their digests. These are hashes of content and code, so a process
with other code than the one that made the unit does not know the name.
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
    """A unit of work. `network` is the network that it evaluates most, `title` its name for people."""

    network: str
    title: str = field(compare=False)


@dataclass(frozen=True, kw_only=True)
class Look(_Unit):
    """Evaluate the bare network on the clean images of a shard. Results in a Seen."""

    samples: Samples


@dataclass(frozen=True, kw_only=True)
class Teach(_Unit):
    """Let a defense of the network learn, unless what it learns is kept already. Results in a Taught."""

    defense: str


@dataclass(frozen=True, kw_only=True)
class Search(_Unit):
    """Craft a universal perturbation. Results in a Found, or in nothing if another process has kept one meanwhile."""

    job: str


@dataclass(frozen=True, kw_only=True)
class Score(_Unit):
    """Craft a shard of a job, unless it is kept, and score it for some cells. Results in a Scored for each cell."""

    job: str
    samples: Samples
    cells: tuple[str, ...]


Unit = Look | Teach | Search | Score


class Seen(NamedTuple):
    """The bare network's result for a shard of `images` clean images.

    `statistics` are those of the task's main metric, (N,) or (N, S); None without labels. If each prediction is one
    class, `said` are the classes that occur among predictions, and `true` among labels; otherwise they are empty.
    `flags` are those of the bare network.
    """

    images: int
    statistics: Tensor | None
    said: frozenset[int]
    true: frozenset[int]
    flags: frozenset[str]


class Taught(NamedTuple):
    """A defense that has learned: its repr, which contains the hash of what it has learned."""

    defense: str


class Found(NamedTuple):
    """A universal perturbation and its costs. Whoever requested it keeps them, the costs first.

    `by` is the process that searched for it, or that found it in the cache.
    """

    perturbation: Perturbation
    costs: Costs
    by: Maker


class Scored(NamedTuple):
    """The outcomes of one cell, named by its key, for a shard; `by` is the process that computed them."""

    cell: str
    outcomes: Outcomes
    by: Maker


class Failed(NamedTuple):
    """An error of an attack, a defense or a network, as one line: for one `cell`, or all cells that need the unit."""

    message: str
    cell: str | None = None


class Ended(NamedTuple):
    """The end of a unit: no more results follow."""


class Lost(NamedTuple):
    """The loss of the process that carried out a unit, for a `reason` that may have nothing to do with the unit.

    The unit is `suspect` if only the process is gone, but its machine and the connection to it are not.
    """

    reason: str
    suspect: bool = True


Result = Seen | Taught | Found | Scored | Failed
