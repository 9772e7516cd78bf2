"""Universal perturbations in the cache, with what they have cost."""

import torch

from ....core.errors import BudgetError, InputError
from ....core.perturbation import Perturbation
from ....core.threat import Threat
from ...ledger.ledger import Costs
from ..adversarial import tensor_of
from ..units import Found
from .cache import Cache


def keep_found(cache: Cache, name: str, found: Found) -> None:
    source = torch.frombuffer(bytearray(found.perturbation.source.encode() or b" "), dtype=torch.uint8)
    cache.keep(name, {"delta": found.perturbation.delta, "source": source, "costs": tensor_of(found.costs)})


def recall_found(cache: Cache, name: str, threat: Threat) -> Found | None:
    """None where there is none that can be read."""
    tensors = cache.recall(name, {"delta", "source", "costs"})
    if tensors is None:
        return None
    source = tensors["source"].numpy().tobytes().decode()
    try:
        perturbation = Perturbation(delta=tensors["delta"], threat=threat, source=source)
    except (BudgetError, InputError):
        return None
    return Found(perturbation, Costs(*tensors["costs"].tolist()))
