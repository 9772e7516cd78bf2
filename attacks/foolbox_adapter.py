"""The attacks of foolbox (Rauber et al. 2020, https://doi.org/10.21105/joss.02607) under the names `foolbox:NAME`.

A name becomes a dataclass whose fields are the parameters of foolbox's constructor, with foolbox's names and defaults.
Left out are parameters that the norm decides already, attacks to start from, log folders and the channel axis. foolbox
is imported when the first of these classes is made, not before.

foolbox draws from the global generators of torch and numpy, and some of its attacks stop when the whole batch is done.
The generators are seeded from `rng` and restored, so a call can be repeated; but, unlike everywhere else in foolbench,
the result for an image depends on the other images of its batch.
"""

import inspect
import math
import warnings
from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, make_dataclass
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from ..core.attack import Attack, MinimalAttack
from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import Norm, per_row
from ..core.registry import Family, attacks
from ..core.seeding import Draws, derive_key
from ..core.task import Task
from ..core.threat import Eps
from ._foolbox_facts import ALIASES, COMPILED, FACTS, RANDOMIZED, Facts
from ._gradient import check_differentiable, check_finite
from ._losses import mean

_NO_PARAMETERS = {"self", "args", "kwargs", "distance", "constraint", "init_attack", "tensorboard", "channel_axis"}

_STARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "BoundaryAttack": ("foolbox:LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "HopSkipJumpAttack": ("foolbox:LinearSearchBlendedUniformNoiseAttack", {"steps": 50}),
    "PointwiseAttack": ("foolbox:SaltAndPepperNoiseAttack", {}),
    **dict.fromkeys(COMPILED, ("foolbox:LinearSearchBlendedUniformNoiseAttack", {})),
}
"""The attacks that others start from, as in foolbox; run apart, as there one image without a start fails its batch."""

_HANDLED = "LinearSearchBlended.* failed to draw|At the first initialisation|The given NumPy array is not writable"
"""Warnings whose cause is dealt with: images without a start stay unchanged, and nobody writes into that array."""


@dataclass(frozen=True, kw_only=True)
class _FoolboxAttack(Attack, ABC):
    """The base of all foolbox attacks; `parameters` are those of foolbox's class `original`, with their types."""

    original: ClassVar[str]
    facts: ClassVar[Facts]
    parameters: ClassVar[Mapping[str, Any]]
    needs_class_scores: ClassVar[bool] = True
    batch_matters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        if self.facts.targeted != "yes" and self.targeted != (self.facts.targeted == "only"):
            raise ConfigError(f"{name} has one form: expected targeted = {not self.targeted}, got {self.targeted}.")
        for parameter, value in self._values().items():
            least = 1 if self.parameters[parameter] in (int, int | None) else 0  # without steps all looks robust
            if isinstance(value, int | float) and not value >= least:
                raise ConfigError(f"Expected {parameter} >= {least} for {name}, got {value}.")
        if self.original not in COMPILED:
            self._make()
        elif find_spec("numba") is None:
            raise ConfigError(f"{name} needs numba, which is not installed: pip install numba.")

    def check_task(self, task: Task) -> None:
        """Raise ConfigError also for a system that may reject an image: foolbox would count a rejection as success."""
        super().check_task(task)
        if task.rejected is not None:
            raise ConfigError(
                f"{type(self).__name__} cannot know a system that may reject an image: foolbox takes every other "
                "answer for a success; expected knowledge = ['oblivious'], or an attack of foolbench's own."
            )

    @property
    def randomized(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride] (here the parameters decide)
        return getattr(self, "random_start", any(part in self.original for part in RANDOMIZED))

    def _values(self) -> dict[str, Any]:
        return {parameter: getattr(self, parameter) for parameter in self.parameters}

    def _make(self) -> Any:
        """Return foolbox's own attack. Raises ConfigError for parameters that it refuses."""
        norm = {"constraint": self.norm} if self.original == "HopSkipJumpAttack" else {}
        try:
            return getattr(_foolbox().attacks, self.original)(**self._values(), **norm)
        except ValueError as error:
            raise ConfigError(f"foolbox cannot make {type(self).__name__}: {error}.") from None

    def _run(self, model: Model, x: Tensor, y: Tensor, rng: Draws, **more: Any) -> Tensor:
        if self.access == "gradient":
            check_differentiable(model)
        foolbox = _foolbox()
        net = foolbox.PyTorchModel(_Net(model, rng.fork("calls")).eval(), bounds=(0, 1), device=x.device)
        criterion = foolbox.criteria.TargetedMisclassification if self.targeted else foolbox.criteria.Misclassification
        with _seeded(rng, x.device):
            return self._make().run(net, x.contiguous(), criterion(y), **more)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by name: the class is made, not found in a module."""
        return _rebuilt, (type(self).__name__, vars(self))


class _Budget(_FoolboxAttack):
    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        found = self._run(model, x, y, rng, epsilon=self.eps)
        return self._make().distance.clip_perturbation(x, found, self.eps)


@dataclass(frozen=True, kw_only=True)
class _Minimal(_FoolboxAttack, MinimalAttack):  # pyright: ignore[reportIncompatibleVariableOverride] (as above)
    """A minimal attack: an image that needs no attack, has no start, or is not fooled stays unchanged."""

    eps: Eps = math.inf

    @property
    def stops_at_boundary(self) -> bool:
        return not getattr(self, "confidence", 0)

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        if self.original in _STARTS:
            name, parameters = _STARTS[self.original]
            start: Any = attacks[name](targeted=self.targeted, **parameters)
            points = start.minimize(model, x, y, rng=rng.fork("start"))
            rows = (points != x).flatten(1).any(dim=1)
            more = {"starting_points": points[rows]}
        else:
            rows = ~self._found(model, x, y, rng.fork("before"))
            more = {}
        found = x.clone()
        if rows.any():
            found[rows] = self._run(model, x[rows], y[rows], rng[rows], **more).clamp_(0, 1)
        return torch.where(per_row(self._found(model, found, y, rng.fork("after")), x), found, x)

    def _found(self, model: Model, x: Tensor, y: Tensor, rng: Draws) -> Tensor:
        return (model.judge(x, rng=rng) == y) == self.targeted


class _Net(nn.Module):
    """A model as foolbox calls it: every call has new draws, and every gradient must be finite.

    foolbox judges by the outputs, and differentiates its own loss of them. For a randomized system these are the mean
    of `model.draws` evaluations, which is no mean of the loss; but neither depends on one lucky draw.
    """

    def __init__(self, model: Model, rng: Draws) -> None:
        super().__init__()
        self._model, self._rng, self._calls = model, rng, 0

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x.register_hook(partial(check_finite, self._model))
        self._calls += 1
        return mean(self._model.each(x, rng=self._rng.fork(self._calls)))


@contextmanager
def _seeded(rng: Draws, device: torch.device) -> Iterator[None]:
    """Context manager: seed the global generators, and restore them afterwards."""
    seed = derive_key(*rng.keys.tolist())
    numpy_state = np.random.get_state()  # noqa: NPY002 (the generator that foolbox draws from)
    cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []), warnings.catch_warnings():
        warnings.filterwarnings("ignore", _HANDLED, UserWarning)
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002


@cache
def _foolbox() -> Any:
    try:
        with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
            warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
            return import_module("foolbox")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"The attacks foolbox:NAME need foolbox, but {error}: pip install 'foolbench[foolbox]'."
        ) from None


def _rebuilt(name: str, parameters: dict[str, Any]) -> Attack:
    return make_class(name)(**parameters)


@cache
def make_class(name: str) -> type[Attack]:
    """Return the dataclass for a name `foolbox:NAME`. Raises ConfigError if foolbox is not installed."""
    original = _original(name)
    facts, theirs = FACTS[original], getattr(_foolbox().attacks, original)
    signature = inspect.signature(theirs.__init__).parameters
    parameters = {key: parameter for key, parameter in signature.items() if key not in _NO_PARAMETERS}
    constants = {
        "__doc__": f"{_summary(name)}\n\n{inspect.getdoc(theirs)}",
        "__module__": __name__,
        "original": original,
        "facts": facts,
        "parameters": {key: parameter.annotation for key, parameter in parameters.items()},
        "access": facts.access,
        "norms": facts.norms,
    }
    return make_dataclass(
        name,
        [("norm", Norm, facts.norms[0]), *(_field(parameter) for parameter in parameters.values())],
        bases=(_Minimal if facts.minimal else _Budget,),
        namespace=constants,
        frozen=True,
        kw_only=True,
    )


def _field(parameter: inspect.Parameter) -> tuple[str, Any] | tuple[str, Any, Any]:
    """Return a dataclass field; a float's default of 0 becomes 0.0, as in a recipe: one run has one identity."""
    if parameter.default is parameter.empty:
        return parameter.name, parameter.annotation
    default = TypeAdapter(parameter.annotation).validate_python(parameter.default)
    return parameter.name, parameter.annotation, field(default=default)


def _original(name: str) -> str:
    short = name.removeprefix("foolbox:")
    return ALIASES.get(short, short)


def _summary(name: str) -> str:
    original = _original(name)
    return str(FACTS[original]) if name.endswith(original) else f"{original} by its short name."


_NAMES = [f"foolbox:{name}" for name in (*FACTS, *ALIASES)]
attacks.families["foolbox"] = Family({name: _summary(name) for name in sorted(_NAMES)}, make_class)
