"""The outputs of a network's layers, recorded while it runs on images."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError
from .outputs import main_output


def layer_names(features: object) -> tuple[str, ...]:
    """Return names of layers as a tuple; a string is one name. Raises ConfigError for anything else."""
    names = (features,) if isinstance(features, str) else features
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"Expected features as names of layers, got {features!r}.")
    return tuple(names)


def record(net: nn.Module, layers: Sequence[str], run: Callable[[], object], name: str) -> list[Tensor]:
    """Return the outputs of the layers, in their order, during `run()`; of a layer used several times, each in turn.

    They are copied as they are computed, before the network can change them in place. Raises ConfigError for a layer
    that is not used and for TorchScript, InputError for a layer that returns no tensor.
    """
    found: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    if isinstance(net, torch.jit.ScriptModule):
        raise ConfigError(f"{name} is TorchScript, which cannot be looked into; wrap the network that it was made of.")
    handles = [
        net.get_submodule(layer).register_forward_hook(_keeper(found[layer], f"layer {layer} of {name}"))
        for layer in found
    ]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    unused = [layer for layer, outputs in found.items() if not outputs]
    if unused:
        raise ConfigError(
            f"{name} does not use its layer {unused[0]} when it looks at images (a part for training only?); "
            "name another feature layer."
        )
    return [output for layer in layers for output in found[layer]]


def _keeper(found: list[Tensor], layer: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple | list) and output else output  # of attention or an LSTM
        found.append(main_output(first, layer, fits=lambda tensor: True).clone())

    return keep
