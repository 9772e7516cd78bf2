"""What a job crafts has a name in the cache that says all that decides it, to the last bit.

A run's ledger knows a network again in spite of rounding. Here it must answer with the very same bits: whoever rounds
otherwise, as another processor or another number of threads, crafts otherwise in the last digit, and finds what was
crafted like that. So no number depends on what lies in a cache.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from ....core.attack import UniversalAttack
from ....core.ensemble import attack_survivors
from ....datasets.substitutes import substitute_images
from ....defenses.gradients import adaptive
from ...grid.cells import LABEL, Job
from ...grid.digest import digest
from ...grid.identity import Identities
from ...grid.sources import source_hash
from ...opening.data import make_dataset
from ..crafting.storage import Storage
from ..memory.one_at_a_time import itself
from ..networks.networks import Network
from ..provenance.glimpse import glimpse
from ..provenance.versions import libraries


def name_of(job: Job, identities: Identities, source: Network, substitutes: int) -> str:
    """The folder of a job's images, or the file of its perturbation, below the folder of its kind.

    `substitutes` is how many images a universal perturbation is validated on. Raises what keeps the network from being
    asked, or the defense that the job crafts through from learning.
    """
    known = identities[job.source] | {"behaviour": source.answers}
    decides: list[Any] = [
        job.key({**identities, job.source: known}),
        repr(source.systems.fitted(job.through)),  # with the hash of what it has learned
        source_hash(adaptive),
        environment(source.model.device),
    ]
    if isinstance(job.attack, UniversalAttack):
        dataset = source.dataset
        decides += [glimpse(dataset), source_hash(type(itself(dataset))), substitutes, source_hash(substitute_images)]
        if (other := job.training.data) is not None:
            decides.append(make_dataset(other.name, other.parameters).fingerprint)
    else:  # each shard is known by its clean images
        decides += [source_hash(Storage), source_hash(attack_survivors)]
        if job.batch_matters:
            decides.append(source.systems.crafting(job.through).most)
    kind = "perturbations" if isinstance(job.attack, UniversalAttack) else "adversarial"
    label = re.sub(r"[^\w.+-]", "-", f"{job.source}-{job.attack_name}")[:LABEL]
    return f"{kind}/{label}-{digest(*decides)}"


def environment(device: torch.device) -> Mapping[str, Any]:
    """What rounding depends on, and what the libraries do that compute."""
    versions = {**libraries(), "torch": torch.__version__}  # which also says for which CUDA it was built
    if device.type == "cuda":
        return versions | {"device": torch.cuda.get_device_name(device)}
    processor = torch.backends.cpu.get_cpu_capability()
    return versions | {"device": processor, "threads": torch.get_num_threads()}
