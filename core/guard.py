"""Foreign code gets the model itself: what it changes about it is noticed, and undone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from .model import Model
from .network import tensors_in

_HELD = ("_modules", "_parameters", "_buffers")


class Guard:
    """Remembers a model: what it says of itself, its modules and normalisation, their weights, modes, hooks, and
    functions put in the place of their own.

    What it counts may change, and what it finds out once, as its hash, may come.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._own, self._parts = model, dict(vars(model)), model.parts
        self._modules = {module: _Facts.of(module) for part in self._parts for module in part.modules()}
        self._weights = [_cloned(part.state_dict()) for part in self._parts]
        self._stateless = [(buffer, buffer.clone()) for part in self._parts for buffer in _stateless(part)]

    def undo(self) -> bool:
        """Whether the model had been changed; it is as it was again."""
        changed = not self._says_the_same()
        for module, facts in self._modules.items():
            if not facts.hold(module):
                facts.restore(module)
                changed = True
        for part, weights in zip(self._parts, self._weights, strict=True):
            now = dict(tensors_in(part.state_dict().items()))
            if any(not equal(now[name], tensor) for name, tensor in tensors_in(weights.items())):
                part.load_state_dict(weights)
                changed = True
        for buffer, value in self._stateless:
            if not equal(buffer, value):
                buffer.copy_(value)
                changed = True
        if changed:  # also what it has found out meanwhile
            vars(self._model).clear()
            vars(self._model).update(self._own)
        return changed

    def _says_the_same(self) -> bool:
        """By identity: none of it is ever changed in place, but for the count of passes."""
        own = vars(self._model)
        counted = [name for name in own if name in self._own or not _comes_late(self._model, name)]
        return {name: id(own[name]) for name in counted} == {name: id(value) for name, value in self._own.items()}


def _comes_late(model: Model, name: str) -> bool:
    return isinstance(getattr(type(model), name, None), cached_property)


def _stateless(part: nn.Module) -> Iterator[torch.Tensor]:
    """The buffers that are in no state: those that are not persistent."""
    state = part.state_dict()
    return (buffer for name, buffer in part.named_buffers() if name not in state)


def equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Of tensors of one type; NaN equals itself."""
    if torch.equal(one, other):
        return True
    return (
        one.shape == other.shape
        and one.is_floating_point()
        and torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)
    )


def _cloned(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state of a network by itself; quantised layers keep tuples of tensors in it."""
    return {name: _clone(value) for name, value in state.items()}


def _clone(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    return tuple(map(_clone, value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Facts:
    """What a module holds, by the names of its attributes, its mode, and its own functions, as a replaced `forward`.

    No other attribute counts: many networks remember something in one, as the last size they have seen.
    """

    training: bool
    held: dict[str, dict[Any, Any]]
    functions: dict[str, Any]
    marks: dict[str, Any]

    @classmethod
    def of(cls, module: nn.Module) -> "_Facts":
        own = vars(module)
        held = {name: dict(getattr(module, name)) for name in _HELD}
        held |= {name: dict(value) for name, value in own.items() if "_hooks" in name and isinstance(value, dict)}
        functions = {name: value for name, value in own.items() if callable(value)}
        return cls(module.training, held, functions, _marks(module))

    def hold(self, module: nn.Module) -> bool:
        """Whether they are as they were. It is asked after every shard, of every module."""
        return self.marks == _marks(module)

    def restore(self, module: nn.Module) -> None:
        module.training = self.training
        for name, held in self.held.items():
            now = getattr(module, name)
            now.clear()
            now.update(held)
        for name in _Facts.of(module).functions.keys() - self.functions.keys():
            del vars(module)[name]
        vars(module).update(self.functions)


def _marks(module: nn.Module) -> dict[str, Any]:
    """All of its facts, by identity: a tensor in the place of another has no one answer to whether it is equal."""
    found: dict[str, Any] = {"": module.training}
    for name, value in vars(module).items():
        if isinstance(value, dict):
            if value and (name in _HELD or "_hooks" in name):
                found[name] = [(key, id(held)) for key, held in value.items()]
        elif callable(value):
            found[name] = id(value)
    return found
