"""The user's choice of the processes or machines that carry out a run."""

from dataclasses import dataclass
from typing import Literal

from ....core.errors import ConfigError
from ..networks.prepare import Prepared
from ..networks.setup import Setup
from ..work.progress import Progress
from .executor import Executor
from .in_process import InProcess

Kind = Literal["local", "ray"]


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The processes that carry out a run, on this machine or on a Ray cluster.

    `workers` is their number: by default 1 for `local`, which is the process of the run itself, and for `ray` the
    number of the cluster's GPUs, or of its CPU cores if it has no GPU. `address` is that of the cluster; without one,
    Ray starts its own on this machine. `gpus` says whether the cluster's GPUs may be used. Raises ConfigError for
    invalid values.
    """

    executor: Kind = "local"
    workers: int | None = None
    address: str | None = None
    gpus: bool = True

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"Expected workers >= 1, got {self.workers}.")
        if self.executor not in ("local", "ray"):
            raise ConfigError(f"Expected the executor local or ray, got {self.executor!r}.")
        if self.address is not None and self.executor != "ray":
            raise ConfigError(f"The address {self.address} is one of Ray; choose the executor ray.")

    @property
    def are_here(self) -> bool:
        """Whether the process of the run does all the work."""
        return self.executor == "local" and self.workers in (None, 1)

    def executor_for(self, prepared: Prepared, setup: Setup, progress: Progress) -> Executor:
        """Return the executor; the caller closes it. Raises ConfigError if Ray or its cluster is not available."""
        if self.executor == "ray":
            try:
                from .on_ray import OnRay
            except ImportError as error:
                raise ConfigError(f"The executor ray needs Ray: pip install 'foolbench[ray]' ({error}).") from None
            return OnRay(self, prepared, setup, progress)
        if self.are_here:
            return InProcess(prepared, setup, progress)
        from .processes import Processes

        return Processes(self.workers or 1, setup, progress)
