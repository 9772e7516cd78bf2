"""A frozen network over images in [0, 1], with its task, normalisation and shells."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain

import torch
from torch import Tensor, nn

from .errors import ConfigError, InputError, UnknownNameError
from .images import check_images, check_layout, checked_shape
from .network import hash_of, own_copy, precision
from .normalization import Channels, Normalization
from .outputs import as_outputs_of, main_output
from .passes import Passes, mean_gradient
from .percent import checked_percent
from .preprocess import Preprocess
from .recording import layer_names, record
from .seeding import Draws, as_draws
from .shell import Inside, Look, Shell, check_handed_on, task_behind
from .task import Task


class Model:
    """A network, any `nn.Module`, that maps float images (N, C, H, W) in [0, 1] to outputs of `task`.

    `mean` and `std` (one number, or one per channel) normalise the network's input; the model applies them itself, so
    that every budget is in pixel space. `features` names the submodules whose outputs a feature attack disturbs.
    `shape` is the (C, H, W) that the network accepts, None meaning any. `channels_last` runs the network in that memory
    format: up to twice as fast for convolutions, not possible for a network that calls `view`. `expect_clean` is the
    published main metric on clean images, in percent: a run that measures another one stops. `preprocess` says how a
    picture is resized and cropped, `class_names` names the classes; `random_weights` marks an untrained network, of
    which tables warn.

    The network is copied, put into eval mode and frozen: the caller's module stays unchanged. It gets images in the
    dtype of its weights. Of several outputs, the one called `logits` or `out` is used, or else the only one that fits
    the task. Raises ConfigError for an invalid network, task or shape, a feature that the network lacks, or a
    normalisation of the wrong length or for images in 0..255.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        task: Task,
        mean: Channels = None,
        std: Channels = None,
        features: str | Sequence[str] = (),
        shape: Sequence[int | None] = (None, None, None),
        name: str | None = None,
        channels_last: bool = False,
        expect_clean: float | None = None,
        preprocess: Preprocess | None = None,
        class_names: Sequence[str] = (),
        random_weights: bool = False,
    ) -> None:
        if isinstance(task, type) or not isinstance(task, Task):
            raise ConfigError(f"Expected a task, such as Recognition(classes=10), got {task!r}.")
        self.net = own_copy(net)
        self._network_task = task
        self.name = name or type(self.net).__name__
        self.preprocess, self.class_names, self.random_weights = preprocess, tuple(class_names), random_weights
        self.passes = Passes()
        self.feature_names = layer_names(features)
        self.expect_clean = None if expect_clean is None else checked_percent(expect_clean, "expect_clean")
        self.shells: tuple[Shell, ...] = ()
        self.draws = 1
        channels, *size = checked_shape(shape)
        self._normalization = Normalization(mean, std, channels)
        # one channel would silently broadcast to a normalisation of several, so its length decides
        self.shape = (channels or self._normalization.channels, *size)
        self.precision = precision(self.net)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net.to(memory_format=self.memory_format)
        self.to(self.device)
        modules = dict(self.net.named_modules())
        missing = [feature for feature in self.feature_names if feature not in modules]
        if missing:
            raise UnknownNameError(f"layer of {self.name}:", missing[0], [name for name in modules if name])

    @staticmethod
    def check_is(model: object) -> None:
        """Raise ConfigError for anything but a Model, such as a bare network."""
        if not isinstance(model, Model):
            raise ConfigError(
                f"Expected a foolbench.core.Model, got {type(model).__name__}; wrap the network: Model(net, task=...)."
            )

    def __repr__(self) -> str:
        return f"Model({' < '.join([self.name, *map(repr, reversed(self.shells))])})"

    @property
    def task(self) -> Task:
        """The task of the outputs: that of the network, or its abstaining variant if a shell abstains."""
        return task_behind(self.shells, self._network_task)

    @property
    def parts(self) -> "tuple[nn.Module, Normalization]":
        """The network, and the normalisation of its input."""
        return self.net, self._normalization

    @property
    def device(self) -> torch.device:
        """The device of the weights; for a network without weights, the one it was last moved to."""
        return next(chain(self.net.parameters(), self.net.buffers(), self._normalization.buffers())).device

    def to(self, device: torch.device | str) -> "Model":
        """Move the network to a device, in place, and return the model."""
        self.net.to(device)
        self._normalization.to(device)
        return self

    def class_name(self, label: int) -> str:
        """Return the name of a class, its number if it has no name, or "rejected"."""
        names = self.class_names or [f"class {label}"] * (label + 1)
        return "rejected" if label == self.task.rejected else names[label]

    @property
    def mean_image(self) -> Tensor:
        """The pixel values, shape (C, 1, 1) or (1, 1, 1), that normalisation maps to zero."""
        return self._normalization.mean[0]

    def behind(self, shell: Shell) -> "Model":
        """Return the defended model: this model, sharing its network, inside one more shell.

        Raises ConfigError for a shell that does not declare whether it is differentiable and randomized, or that
        abstains where it may not.
        """
        for fact in ("differentiable", "randomized"):
            if not isinstance(getattr(shell, fact, None), bool):
                raise ConfigError(f"{shell!r} does not say whether it is {fact}; add {fact} = True or False to it.")
        task_behind((shell, *self.shells), self._network_task)
        return self.through((shell, *self.shells), draws=self.draws)

    def doing(self, task: Task) -> "Model":
        """Return the same network for another task of the same outputs, as one with another crop."""
        found = copy.copy(self)
        found._network_task = task
        found.__dict__.pop("_net_sha", None)
        return found

    def through(self, shells: Sequence[Shell], *, draws: int = 1) -> "Model":
        """Return the same network inside exactly these shells; the first one is the outermost, and sees the image.

        Attacks on a randomized system take expectations over `draws` evaluations (EOT): of the loss with
        `attacks._gradient.loss_and_gradient`, of the outputs with `averaged`. `logits` and `features` return the
        outputs of one evaluation with the mean gradient of all: a loss is differentiated at the outputs of that one
        evaluation, and this derivative is used for the others too, which is exact for linear losses only.
        """
        system = copy.copy(self)
        system.shells, system.draws = tuple(shells), draws
        return system

    @property
    def alternatives(self) -> "Mapping[str, Model]":
        """Copies of this system, by name, each with a gradient that its shells offer; all have the same outputs.

        A name applies to all shells that offer it; the others keep their own gradient. Empty if no shell offers any.
        """
        offered = [getattr(shell, "alternatives", {}) for shell in self.shells]
        names = dict.fromkeys(name for alternatives in offered for name in alternatives)
        pairs = list(zip(offered, self.shells, strict=True))
        shells = {name: [known.get(name, own) for known, own in pairs] for name in names}
        return {name: self.through(chosen, draws=self.draws) for name, chosen in shells.items()}

    def evaluations(self, rng: Draws | None) -> list[Draws | None]:
        """Return the random streams of each evaluation in an expectation; a single one unless randomized."""
        if rng is None or not self.randomized:
            return [rng]
        return [rng, *(rng.fork(f"draw {draw}") for draw in range(1, self.draws))]

    @property
    def randomized(self) -> bool:
        """Whether two evaluations of one image may differ."""
        return any(shell.randomized for shell in self.shells)

    @property
    def sha(self) -> str:
        """Hash of architecture, weights, normalisation, task and shells; `Behaviour` sees what it misses."""
        if not self.shells:
            return self._net_sha
        return hashlib.sha256(f"{self._net_sha}{self.shells!r}".encode()).hexdigest()[:16]

    @cached_property
    def _net_sha(self) -> str:
        return hash_of(self.net, self._normalization, self._network_task)

    def check(self, x: Tensor) -> None:
        """Raise InputError unless `x` are images this model takes: float32 (N, C, H, W) in [0, 1] on its device."""
        check_images(x, (None, None, None) if self.shells else self.shape)  # a shell may change the shape
        if x.device != self.device:
            raise InputError(f"Expected images on {self.device}, where {self.name} is, got {x.device}; use x.to(...).")

    def __call__(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return the outputs for images in [0, 1]; `rng` holds one stream per image, for randomized systems.

        Raises InputError for invalid images, whether given to the model or handed on by a shell, and for outputs that
        do not fit the task; ConfigError for a randomized system without `rng`.
        """
        self.check(x)
        (outputs,) = self._expect(lambda streams: [self._evaluate(x, streams, look=check_handed_on)], rng)
        self.task.check_outputs(outputs, len(x))
        return outputs

    def logits(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return the outputs without the checks of a call, for attacks, whose iterates are images by construction."""
        (outputs,) = self._expect(lambda streams: [self._evaluate(x, streams)], rng)
        return outputs

    def predict(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return decoded predictions, without gradient."""
        with torch.no_grad():
            return self.task.predict(self(x, rng=rng))

    def judge(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return predictions from the outputs `averaged` over all evaluations; attacks judge by these.

        A search that evaluated a randomized system once per step would soon meet one lucky draw, and stop there.
        """
        self.check(x)
        with torch.no_grad():
            outputs = self.averaged(x, rng=rng)
        self.task.check_outputs(outputs, len(x))
        return self.task.predict(outputs)

    def averaged(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return the task's average of the outputs of all evaluations; unchecked, like `logits`."""
        return self.average(self.each(x, rng=rng))

    def each(self, x: Tensor, *, rng: Draws | None = None) -> list[Tensor]:
        """Return the outputs of every evaluation, each with its own gradient; unchecked, like `logits`."""
        return [self._evaluate(x, streams) for streams in self.evaluations(rng)]

    def average(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the task's average of the outputs of several evaluations; those of a single one unchanged."""
        return outputs[0] if len(outputs) == 1 else self.task.average(torch.stack(tuple(outputs), dim=1))

    def features(self, x: Tensor, *, rng: Draws | None = None) -> list[Tensor]:
        """Return the outputs of the layers `feature_names`, in that order; those of a layer used several times in turn.

        `x` may leave [0, 1]: crafting does not clip. Raises ConfigError if the model names no feature layers, or one
        that it does not use.
        """
        if not self.feature_names:
            raise ConfigError(f"{self.name} names no feature layers; give Model(..., features=(...)).")
        check_layout(x, self.shape)
        images = x.clamp(0, 1) if self.shells else x  # shells expect pixels in [0, 1]
        return self._expect(lambda streams: self._activations(images, streams), rng)

    def seen(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Return the images (M, C, H, W) that the network gets for `x` (N, C, H, W); M = N without views."""
        found: list[Tensor] = []
        with torch.no_grad():
            self.watched(x, lambda shell, images: found.append(images), rng=rng)
        return found[-1] if found else x

    def watched(self, x: Tensor, look: Look, *, rng: Draws | None = None) -> Tensor:
        """Return unchecked outputs, like `logits`; `look` gets what each shell hands on, outermost first."""
        return self._evaluate(x, rng, look=look)

    def _evaluate(self, x: Tensor, rng: Draws | None, *, look: Look = lambda shell, images: None) -> Tensor:
        if rng is None and self.randomized:
            raise ConfigError(f"{self} is randomized: give rng=Draws.of(seed, samples=...), one stream per image.")
        if not self.shells:
            return self._network(x)
        streams = as_draws(rng, len(x), x.device)
        network = {"net": self.net, "network_task": self._network_task, "network": self._network}
        return Inside(**network, shells=self.shells, streams=streams, look=look)(x)

    def _network(self, x: Tensor) -> Tensor:
        """Return the bare network's outputs for images, without shells."""
        if self.shells:
            check_layout(x, self.shape)
        prepared = self._prepare(self.passes.follow(x))
        outputs = main_output(self.net(prepared), self.name, as_outputs_of(self._network_task, len(x)))
        return outputs.float()  # the network may have another precision

    def _activations(self, x: Tensor, rng: Draws | None) -> list[Tensor]:
        found = record(self.net, self.feature_names, lambda: self._evaluate(x, rng), self.name)
        return [feature.float() for feature in found]

    def _expect(self, evaluate: Callable[[Draws | None], list[Tensor]], rng: Draws | None) -> list[Tensor]:
        """Run one evaluation; if randomized and a gradient is needed, give it the mean gradient of several."""
        first, *others = self.evaluations(rng)
        found = evaluate(first)
        if not (others and found[0].requires_grad):
            return found
        return [mean_gradient(*same) for same in zip(found, *map(evaluate, others), strict=True)]

    def _prepare(self, x: Tensor) -> Tensor:
        """Return the network's input; gradients return in the usual memory format, faster for all but convolutions."""
        images = self._normalization(x.contiguous()).to(self.precision)
        if self.memory_format is torch.contiguous_format:
            return images
        if images.requires_grad:
            images.register_hook(torch.Tensor.contiguous)
        return images.contiguous(memory_format=self.memory_format)
