"""A frozen copy of a network in eval mode, without wrappers; its precision and its hash."""

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
    """Return a copy of a network, in eval mode and frozen; the caller's network stays unchanged.

    The wrappers of `DataParallel` and `torch.compile` are removed: outputs are those of the wrapped network. Raises
    ConfigError for anything but a network, for lazy layers without weights, and for contents that cannot be copied.
    """
    if not isinstance(net, nn.Module):
        raise ConfigError(f"Expected a torch.nn.Module over images in [0, 1], got {type(net).__name__}.")
    net = _unwrapped(net)
    held = (*net.named_parameters(), *net.named_buffers())
    lazy = [name for name, tensor in held if is_lazy(tensor)]
    if lazy:
        raise ConfigError(f"{lazy[0]} of {type(net).__name__} has no weights yet; call the network once on images.")
    with torch.no_grad():  # so that TorchScript's copies have no autograd history
        found = _copied(net).eval()
    for parameter in found.parameters():  # TorchScript has no `requires_grad_` for all of them
        parameter.requires_grad_(False)
    return found


def precision(net: nn.Module) -> torch.dtype:
    """Return the dtype of a network's weights, which its images must have: float32 if it has no weights."""
    tensors = (*net.parameters(), *net.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)


def tensors_in(state: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a `state_dict` with their names, also those that quantised layers keep in tuples."""
    for name, value in state:
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, tuple | list):
            yield from tensors_in((f"{name}.{place}", part) for place, part in enumerate(value))


def hash_of(net: nn.Module, *more: object) -> str:
    """Return a hash of a network's layers (its repr) and weights, and of `more` that decides its outputs."""
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
    """Return a deep copy of a network, which shares what cannot be copied, such as a lock.

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
    """Yield what may prevent a copy: computed tensors, and all that is no tensor, module, container or callable."""
    for value in values:
        if isinstance(value, dict):
            yield from _leaves(value.values())
        elif isinstance(value, list | tuple | set):
            yield from _leaves(value)
        elif isinstance(value, Tensor):
            if not value.is_leaf:
                yield value
        elif not isinstance(value, nn.Module) and not callable(value):  # a callable may be part of the network
            yield value


def _copied_or_shared(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001
        return value
