"""Protection of a model from foreign code that gets it: changes are noticed and undone."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from .model import Model
from .network import tensors_in

_HELD = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")


class Guard:
    """A snapshot of a model, by which changes are noticed and undone.

    It covers the model's attributes, its modules and normalisation, their weights, modes and hooks, and functions that
    replace their own. Counters may change, and values that are computed once, such as the hash, may be added.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._own = model, dict(vars(model))
        self._modules = {module: _Facts.of(module) for part in model.parts for module in part.modules()}
        self._weights = [_Weights(part) for part in model.parts]

    @torch.no_grad()
    def undo(self) -> bool:
        """Restore the model, and return whether it had been changed."""
        changed = not self._says_the_same()
        for module, facts in self._modules.items():
            if not facts.hold(module):
                facts.restore(module)
                changed = True
        for weights in self._weights:
            changed |= weights.undo()
        if changed:  # also values computed meanwhile, which may be of the changed model
            vars(self._model).clear()
            vars(self._model).update(self._own)
        return changed

    def _says_the_same(self) -> bool:
        """Return whether the attributes are the same objects: only the count of passes changes in place."""
        own = vars(self._model)
        counted = [name for name in own if name in self._own or not _comes_late(self._model, name)]
        return {name: id(own[name]) for name in counted} == {name: id(value) for name, value in self._own.items()}


def _comes_late(model: Model, name: str) -> bool:
    return isinstance(getattr(type(model), name, None), cached_property)


class _Weights:
    """A snapshot of a part's parameters and buffers, their `requires_grad`, and other state, as of quantised layers."""

    def __init__(self, part: nn.Module) -> None:
        self._part, tensors = part, _tensors(part)
        self._kept = {name: tensor.clone() for name, tensor in tensors.items()}
        self._differentiated = {name: tensor.requires_grad for name, tensor in tensors.items()}
        self._more = {name: _clone(value) for name, value in part.state_dict().items() if name not in tensors}

    def undo(self) -> bool:
        """Restore the weights, and return whether they had changed; modules first, so that all names are there."""
        now = _tensors(self._part)
        changed = [name for name, kept in self._kept.items() if not equal(now[name], kept)]
        for name in changed:
            _put_back(now[name], self._kept[name])
        other = [name for name, was in self._differentiated.items() if now[name].requires_grad != was]
        for name in other:
            now[name].detach_().requires_grad_(self._differentiated[name])  # detached, if computed meanwhile
        return self._undo_more() or bool(changed or other)

    def _undo_more(self) -> bool:
        kept = dict(tensors_in(self._more.items()))
        if not kept:
            return False
        state = self._part.state_dict()
        now = dict(tensors_in(state.items()))
        if all(equal(now[name], tensor) for name, tensor in kept.items()):
            return False
        state.update(self._more)
        self._part.load_state_dict(state)
        return True


def equal(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors have the same dtype, shape, device and values; NaN equals itself."""
    if _form(one) != _form(other):
        return False
    if torch.equal(one, other):
        return True
    return one.is_floating_point() and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _form(tensor: Tensor) -> tuple[torch.dtype, torch.Size, torch.device]:
    return tensor.dtype, tensor.shape, tensor.device


def _put_back(tensor: Tensor, kept: Tensor) -> None:
    """Restore a tensor in place, as others may share its memory, unless its dtype, shape or device has changed."""
    if _form(tensor) == _form(kept):
        tensor.copy_(kept)
    else:
        tensor.data = kept.clone()


def _tensors(part: nn.Module) -> dict[str, Tensor]:
    """Return a part's parameters and buffers by name, also those that its state dict lacks."""
    return dict((*part.named_parameters(remove_duplicate=False), *part.named_buffers(remove_duplicate=False)))


def _clone(value: Any) -> Any:
    """Return a copy of a tensor, or of a tuple of tensors, as quantised layers keep them."""
    if isinstance(value, Tensor):
        return value.clone()
    return tuple(map(_clone, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Facts:
    """A snapshot of a module: what it holds by name, its mode, and its own functions, such as a replaced `forward`.

    Other attributes do not count: many networks remember something in one, such as the size of the last input.
    """

    training: bool
    held: dict[str, dict[Any, Any] | set[str]]
    functions: dict[str, Any]
    marks: dict[str, Any]

    @classmethod
    def of(cls, module: nn.Module) -> "_Facts":
        held = {name: value.copy() for name, value in vars(module).items() if _is_held(name, value)}
        return cls(module.training, held, _functions(module), _marks(module))

    def hold(self, module: nn.Module) -> bool:
        """Return whether the module is unchanged; this runs after every shard for every module."""
        return self.marks == _marks(module)

    def restore(self, module: nn.Module) -> None:
        module.training = self.training
        for name, held in self.held.items():
            now = getattr(module, name)
            now.clear()
            now.update(held)
        for name in _functions(module).keys() - self.functions.keys():
            del vars(module)[name]
        vars(module).update(self.functions)


def _is_held(name: str, value: Any) -> bool:
    return isinstance(value, dict | set) and (name in _HELD or "_hooks" in name)


def _functions(module: nn.Module) -> dict[str, Any]:
    """Return a module's own callables; none of TorchScript, which keeps its methods there once they are called."""
    if isinstance(module, torch.jit.ScriptModule):
        return {}
    return {name: value for name, value in vars(module).items() if callable(value)}


def _marks(module: nn.Module) -> dict[str, Any]:
    """Return all facts by identity: whether two tensors are equal has no single answer."""
    found: dict[str, Any] = {name: id(function) for name, function in _functions(module).items()}
    for name, value in vars(module).items():
        if _is_held(name, value) and value:
            found[name] = set(value) if isinstance(value, set) else [(key, id(held)) for key, held in value.items()]
    return found | {"": module.training}
