"""Measure how far the outputs of layers move when a network gets the attacked image instead of the clean one.

Section 5.3 of GD-UAP (https://arxiv.org/abs/1801.08092): its Figures 9 and 10 and its Table 13.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....core.errors import ConfigError, UnknownNameError
from ....core.model import Model
from ....core.recording import record
from ....core.seeding import Draws


def changes(
    model: Model, layers: Sequence[str], x: Tensor, x_adv: Tensor, *, rng: Draws
) -> dict[str, NDArray[np.float32]]:
    """Return L2 norms of the whole outputs of layers, (N, L), by column name.

    `layers_clean` is for the clean image, `layers_moved` for the difference between attacked and clean image and, for a
    bare network only, `layers_alone` for the perturbation added to the image that normalisation maps to zero, which
    GD-UAP without data maximises. A randomized system gets the same draws each time. Raises UnknownNameError for a
    layer that the network lacks, ConfigError for one that it uses never or several times, and for no layers at all.
    """
    clean = _outputs(model, layers, x, rng)
    moved = [attacked - before for attacked, before in zip(_outputs(model, layers, x_adv, rng), clean, strict=True)]
    found = {"layers_clean": _norms(clean), "layers_moved": _norms(moved)}
    if model.shells:
        return found
    return found | {"layers_alone": _norms(_outputs(model, layers, model.mean_image + x_adv - x, rng))}


def shift(found: dict[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return how far the last layer moves, relative to its norm on the clean image, (N,); 0 where that norm is 0."""
    clean, moved = found["layers_clean"][:, -1], found["layers_moved"][:, -1]
    return np.divide(moved, clean, out=np.zeros_like(moved), where=clean > 0)


def _outputs(model: Model, layers: Sequence[str], x: Tensor, rng: Draws) -> list[Tensor]:
    if not layers:
        raise ConfigError(f"{model.name} names no feature layers; name layers of the network, or give it features.")
    modules = dict(model.net.named_modules())
    for layer in layers:
        if layer not in modules:
            raise UnknownNameError(f"layer of {model.name}:", layer, [name for name in modules if name])
    with torch.no_grad():
        outputs = record(model.net, layers, lambda: model.logits(x, rng=rng), model.name)
    if len(outputs) != len(layers):
        raise ConfigError(f"{model.name} uses one of its layers {', '.join(layers)} several times; name others.")
    return [output.float().reshape(len(x), -1) for output in outputs]  # the views of an image form one vector


def _norms(outputs: Sequence[Tensor]) -> NDArray[np.float32]:
    return torch.stack([torch.linalg.vector_norm(output, dim=1) for output in outputs], dim=1).cpu().numpy()
