"""The facts about a run that are known only once its networks and data are loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...core.task import Task
from .identity import Identities


@dataclass(frozen=True, kw_only=True)
class Facts:
    """The facts about a run's networks and data: enough to find its cells in the ledger again.

    `identities` are those of the networks, by name. `samples` are the indices of the evaluation images, in the order in
    which they are taken; `clusters` are their group numbers, or None if all images are independent; `skipped` maps the
    pictures that cannot be read to the reason.
    """

    task: Task
    samples: tuple[int, ...]
    identities: Identities
    clusters: tuple[int, ...] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def ordered(self) -> NDArray[np.int64]:
        """The samples in the order of the ledger, sorted by index."""
        return np.sort(np.array(self.samples, dtype=np.int64))

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """The cluster of each sample, in the order of `ordered`; None if there are no clusters."""
        return None if self.clusters is None else np.array(self.clusters)[np.argsort(self.samples)]
