"""Foreign code gets the model itself: what it changes about it is noticed, and undone."""

from typing import Any

import torch
from torch import nn

from .model import Model

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Guard:
    """Remembers a model: its modules and normalisation, their weights, modes and hooks."""

    def __init__(self, model: Model) -> None:
        self._model, self._parts = model, model.parts
        self._modules = {module: _facts(module) for part in self._parts for module in part.modules()}
        self._weights = [{name: tensor.clone() for name, tensor in part.state_dict().items()} for part in self._parts]

    def undo(self) -> bool:
        """Whether the model had been changed; it is as it was again."""
        changed = self._model.parts != self._parts
        self._model.parts = self._parts
        for module, facts in self._modules.items():
            if _facts(module) != facts:
                _restore(module, facts)
                changed = True
        for part, weights in zip(self._parts, self._weights, strict=True):
            now = part.state_dict()
            if any(not torch.equal(now[name], tensor) for name, tensor in weights.items()):
                part.load_state_dict(weights)
                changed = True
        return changed


def _facts(module: nn.Module) -> dict[str, Any]:
    return {
        "training": module.training,
        **{name: dict(getattr(module, name)) for name in ("_modules", "_parameters", "_buffers", *_HOOKS)},
    }


def _restore(module: nn.Module, facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if name == "training":
            module.training = value
        else:
            kept = getattr(module, name)
            kept.clear()
            kept.update(value)
