"""A copy of somebody's network that runs by itself: frozen, in eval mode, whatever it was wrapped in."""

import copy
import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .errors import ConfigError

_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def own_copy(net: nn.Module) -> nn.Module:
    """The network itself, copied, in eval mode and frozen; the caller's stays as it is.

    What `DataParallel` and `torch.compile` put around it is left out: its outputs are those of what is inside. Raises
    ConfigError for what is no network, has lazy layers without weights, or holds what cannot be copied.
    """
    if not isinstance(net, nn.Module):
        raise ConfigError(f"Expected a torch.nn.Module over images in [0, 1], got {type(net).__name__}.")
    net = _unwrapped(net)
    held = (*net.named_parameters(), *net.named_buffers())
    lazy = [name for name, tensor in held if is_lazy(tensor)]
    if lazy:
        raise ConfigError(f"{lazy[0]} of {type(net).__name__} has no weights yet; call the network once on images.")
    with torch.no_grad():  # in which TorchScript's copies have no history either
        found = _copied(net).eval()
    for parameter in found.parameters():  # TorchScript has no `requires_grad_` for all of them
        parameter.requires_grad_(False)
    return found


def precision(net: nn.Module) -> torch.dtype:
    """That of its weights, in which it wants its images: float32 where it has none."""
    tensors = (*net.parameters(), *net.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


def tensors_in(state: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a `state_dict` by name, also those that quantised layers keep in a tuple."""
    for name, value in state:
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, tuple | list):
            yield from tensors_in((f"{name}.{place}", part) for place, part in enumerate(value))


def hash_of(net: nn.Module, *more: object) -> str:
    """Of what a network shows of itself, its layers and its weights, and of what else decides its outputs."""
    digest = hashlib.sha256(str(net).encode())
    for key, tensor in tensors_in(net.state_dict().items()):
        digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
        plain = tensor.dequantize() if tensor.is_quantized else tensor
        digest.update(plain.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    digest.update("".join(map(str, more)).encode())
    return digest.hexdigest()[:16]


def _unwrapped(net: nn.Module) -> nn.Module:
    while isinstance(net, _WRAPPERS) or hasattr(net, "_orig_mod"):  # the latter is torch.compile's own name for it
        net = net.module if isinstance(net, _WRAPPERS) else net._orig_mod  # pyright: ignore[reportAssignmentType]
    return net


def _copied(net: nn.Module) -> nn.Module:
    """A deep copy. Where some of what its modules hold cannot be copied, as a lock, the copy shares it.

    A tensor that was computed, as weight norm's and spectral norm's weights are, is copied without its history.
    """
    try:
        return copy.deepcopy(net)
    except Exception:  # noqa: BLE001 (whatever some `__deepcopy__` raises; the second try says what is in the way)
        memo: dict[int, Any] = {}
    held = [value for module in net.modules() for value in _leaves(vars(module).values())]
    for value in held:
        memo[id(value)] = value.detach().clone() if isinstance(value, Tensor) else _copied_or_shared(value)
    try:
        return copy.deepcopy(net, memo)
    except Exception as error:  # noqa: BLE001
        raise ConfigError(
            f"{type(net).__name__} cannot be copied ({error}); take out of it what is no part of its function."
        ) from None


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    """What may be in the way of a copy: tensors that were computed, and what is no tensor, module or container."""
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(value.values())
        elif isinstance(value, list | tuple | set):
            yield from _leaves(value)
        elif isinstance(value, Tensor):
            if not value.is_leaf:
                yield value
        elif not isinstance(value, nn.Module) and not callable(value):  # what is called may belong to the network
            yield value


def _copied_or_shared(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001
        return value
