"""Name what a job crafts in the cache by a hash of all that decides it, to the last bit.

A run's ledger recognises a network in spite of rounding. In the cache its outputs must be equal to the last bit:
another processor or number of threads rounds differently, crafts images that differ in the last digits, and gets
entries of its own. So no number depends on what the cache happens to hold.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch

from ....core.ensemble import attack_survivors
from ....core.universal_attack import UniversalAttack
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
    """Return a job's name in the cache: the folder of its images, or the file of its universal perturbation.

    `substitutes` is the number of images that a universal perturbation is validated on. Raises the error by which the
    network cannot be evaluated, or the defense that the job crafts through cannot learn.
    """
    known = identities[job.source] | {"behaviour": source.answers}
    decides: list[Any] = [
        job.key({**identities, job.source: known}),
        repr(source.systems.fitted(job.through)),  # includes the hash of what it has learned
        source_hash(adaptive),
        environment(source.model.device),
    ]
    if isinstance(job.attack, UniversalAttack):
        dataset = source.dataset
        decides += [glimpse(dataset), source_hash(type(itself(dataset))), substitutes, source_hash(substitute_images)]
        if (other := job.training.data) is not None:
            decides.append(make_dataset(other.name, other.parameters).fingerprint)
    else:  # the entry of a shard has the hash of its clean images
        decides += [source_hash(Storage), source_hash(attack_survivors)]
        if job.batch_matters:
            decides.append(source.systems.crafting(job.through).most)
    kind = "perturbations" if isinstance(job.attack, UniversalAttack) else "adversarial"
    label = re.sub(r"[^\w.+-]", "-", f"{job.source}-{job.attack_name}")[:LABEL]
    return f"{kind}/{label}-{digest(*decides)}"


def environment(device: torch.device) -> Mapping[str, Any]:
    """Return what results and their rounding depend on: library versions, processor or GPU, number of CPU threads."""
    versions = {**libraries(), "torch": torch.__version__}  # includes the CUDA version that it was built for
    if device.type == "cuda":
        return versions | {"device": torch.cuda.get_device_name(device)}
    processor = torch.backends.cpu.get_cpu_capability()
    return versions | {"device": processor, "threads": torch.get_num_threads()}
