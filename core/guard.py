"""Foreign code gets the model itself: what it changes about it is noticed, and undone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .model import Model
from .network import tensors_in

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_HELD = ("_modules", "_parameters", "_buffers", *_HOOKS)


class Guard:
    """Remembers a model: its modules and normalisation, their weights, modes and hooks."""

    def __init__(self, model: Model) -> None:
        self._model, self._parts = model, model.parts
        self._modules = {module: _Facts.of(module) for part in self._parts for module in part.modules()}
        self._weights = [_cloned(part.state_dict()) for part in self._parts]

    def undo(self) -> bool:
        """Whether the model had been changed; it is as it was again."""
        changed = self._model.parts != self._parts
        self._model.parts = self._parts
        for module, facts in self._modules.items():
            if not facts.same(_Facts.of(module)):
                facts.restore(module)
                changed = True
        for part, weights in zip(self._parts, self._weights, strict=True):
            now = dict(tensors_in(part.state_dict().items()))
            if any(not torch.equal(now[name], tensor) for name, tensor in tensors_in(weights.items())):
                part.load_state_dict(weights)
                changed = True
        return changed


def _cloned(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state of a network by itself; quantised layers keep tuples of tensors in it."""
    return {name: _clone(value) for name, value in state.items()}


def _clone(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    return tuple(map(_clone, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Facts:
    """What a module holds, by the names of its attributes, and its mode."""

    training: bool
    held: dict[str, dict[Any, Any]]

    @classmethod
    def of(cls, module: nn.Module) -> "_Facts":
        return cls(module.training, {name: dict(getattr(module, name)) for name in _HELD})

    def same(self, other: "_Facts") -> bool:
        """By identity: a tensor in the place of another has no one answer to whether it is equal."""
        return self.training == other.training and self._identities() == other._identities()

    def _identities(self) -> dict[str, list[tuple[Any, int]]]:
        return {name: [(key, id(value)) for key, value in held.items()] for name, held in self.held.items()}

    def restore(self, module: nn.Module) -> None:
        module.training = self.training
        for name, held in self.held.items():
            now = getattr(module, name)
            now.clear()
            now.update(held)
