"""Keep universal perturbations in the cache, with the costs of their search, and read them back."""

import torch

from ....core.errors import BudgetError, InputError
from ....core.perturbation import Perturbation
from ....core.threat import Threat
from ...ledger.ledger import Costs
from ..cache.cache import Cache
from ..crafting.crafter import tensor_of


def keep_found(cache: Cache, name: str, perturbation: Perturbation, costs: Costs) -> None:
    source = torch.frombuffer(bytearray(perturbation.source.encode() or b" "), dtype=torch.uint8)
    cache.keep(name, {"delta": perturbation.delta, "source": source, "costs": tensor_of(costs)})


def recall_found(cache: Cache, name: str, threat: Threat) -> tuple[Perturbation, Costs] | None:
    """Return a perturbation and its costs; None if the cache has none under this name that is valid for the threat."""
    tensors = cache.recall(name, {"delta", "source", "costs"})
    if tensors is None:
        return None
    source = tensors["source"].numpy().tobytes().decode()
    try:
        perturbation = Perturbation(delta=tensors["delta"], threat=threat, source=source)
    except (BudgetError, InputError):
        return None
    return perturbation, Costs(*tensors["costs"].tolist())
