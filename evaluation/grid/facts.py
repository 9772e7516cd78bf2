"""What a run learned by loading things."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...core.task import Task
from .identity import Identities


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Enough to find its cells in the ledger again. Models by name.

    `samples` are the indices of the evaluation images, in the order in which they are taken; `clusters` the numbers of
    the groups they are of, None where each stands alone; `skipped` the pictures that cannot be read, and why.
    """

    task: Task
    samples: tuple[int, ...]
    identities: Identities
    clusters: tuple[int, ...] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def ordered(self) -> NDArray[np.int64]:
        """The samples as the ledger has them: by index."""
        return np.sort(np.array(self.samples, dtype=np.int64))

    @cached_property
    def groups(self) -> NDArray[np.int64] | None:
        """The cluster of each of those."""
        return None if self.clusters is None else np.array(self.clusters)[np.argsort(self.samples)]
