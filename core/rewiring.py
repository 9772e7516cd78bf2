"""Layers of a network that compute something else for a while, without a change of the network itself."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError

Compute = Callable[[Callable[..., Any], Tensor], Any]
"""Maps (the layer's own forward, its input) to the layer's output while it is rewired."""


@contextmanager
def rewired(net: nn.Module, layers: Iterable[nn.Module], compute: Compute) -> Iterator[None]:
    """Context manager: each of the `layers` of `net` returns `compute(forward, x)` for an input `x`.

    Rewirings nest: the `forward` that the later `compute` gets is the earlier one's. Raises ConfigError for
    TorchScript, which cannot be looked into.
    """
    if isinstance(net, torch.jit.ScriptModule):
        raise ConfigError(
            f"{type(net).__name__} is TorchScript, which cannot be looked into; wrap the network that it was made of."
        )
    with ExitStack() as stack:
        stack.enter_context(_module_by_module())
        for layer in layers:
            stack.enter_context(_rewired(layer, compute))
        yield


@contextmanager
def _module_by_module() -> Iterator[None]:
    """Context manager: transformer layers call their modules, which without gradients torch would fuse and skip."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@contextmanager
def _rewired(layer: nn.Module, compute: Compute) -> Iterator[None]:
    held = vars(layer)  # an attribute of the module takes precedence over a method of its class
    before = {name: held[name] for name in ("forward",) if name in held}
    held["forward"] = partial(compute, layer.forward)
    try:
        yield
    finally:
        del held["forward"]
        held.update(before)
