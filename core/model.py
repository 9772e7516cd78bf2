"""A frozen network over images in [0, 1], and what must be known about it."""

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
    """Wraps any `nn.Module` that maps float images (N, C, H, W) to outputs of `task`.

    `mean` and `std` (one number, or one for each channel) are the normalisation the network expects: it lives in here,
    so that every budget is in pixel space. `features` names the submodules whose outputs a feature attack disturbs.
    `shape` is the (C, H, W) the network takes, None meaning any. `channels_last` runs the network in that memory
    format: up to twice as fast for convolutions, not possible for a network that calls `view`. `expect_clean` is the
    main metric on clean images that is published of it, in percent: a run that finds another one stops.
    `preprocess` is how a picture becomes an image of its size, `class_names` what it calls its classes;
    `random_weights` says that nothing has trained it, of which tables warn.

    The network is copied, put into eval mode and frozen: the caller's own module stays as it is. It gets images in the
    precision of its weights; of several outputs the one called `logits` or `out` counts, or the only one that fits.
    Raises ConfigError for what is no network, task or shape, a feature that the network lacks, or a normalisation of
    the wrong length or for images in 0..255.
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
        # one channel would silently broadcast to a normalisation of several: that says how many there are
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
        """Raise ConfigError for what is no Model, as a bare network."""
        if not isinstance(model, Model):
            raise ConfigError(
                f"Expected a foolbench.core.Model, got {type(model).__name__}; wrap the network: Model(net, task=...)."
            )

    def __repr__(self) -> str:
        return f"Model({' < '.join([self.name, *map(repr, reversed(self.shells))])})"

    @property
    def task(self) -> Task:
        """What its outputs mean: that of the network, of which a shell may abstain."""
        return task_behind(self.shells, self._network_task)

    @property
    def parts(self) -> "tuple[nn.Module, Normalization]":
        """The network, and the normalisation before it."""
        return self.net, self._normalization

    @property
    def device(self) -> torch.device:
        """Where its weights are; of a network without any, where it was last moved to."""
        return next(chain(self.net.parameters(), self.net.buffers(), self._normalization.buffers())).device

    def to(self, device: torch.device | str) -> "Model":
        """Move the network in place."""
        self.net.to(device)
        self._normalization.to(device)
        return self

    def class_name(self, label: int) -> str:
        """What it calls a class; its number, where it has no names."""
        names = self.class_names or [f"class {label}"] * (label + 1)
        return "rejected" if label == self.task.rejected else names[label]

    @property
    def mean_image(self) -> Tensor:
        """The pixels, shape (C, 1, 1) or (1, 1, 1), that normalisation maps to zero."""
        return self._normalization.mean[0]

    def behind(self, shell: Shell) -> "Model":
        """The defended system: this model, sharing its network, inside one more shell.

        Raises ConfigError for a shell that does not say whether it is differentiable and randomized, or that may not
        abstain here.
        """
        for fact in ("differentiable", "randomized"):
            if not isinstance(getattr(shell, fact, None), bool):
                raise ConfigError(f"{shell!r} does not say whether it is {fact}; add {fact} = True or False to it.")
        task_behind((shell, *self.shells), self._network_task)
        return self.through((shell, *self.shells), draws=self.draws)

    def through(self, shells: Sequence[Shell], *, draws: int = 1) -> "Model":
        """The same network in exactly these shells; the first one is the outermost, and sees the image.

        Whoever attacks a randomized system takes expectations over `draws` evaluations (EOT): with
        `attacks._gradient.loss_and_gradient` of the loss, with `averaged` of what is predicted. `logits` and `features`
        give the outputs of one evaluation and the mean gradient of all: a loss of them is differentiated at that one,
        and its slope there taken for the others, which is exact for linear losses only.
        """
        system = copy.copy(self)
        system.shells, system.draws = tuple(shells), draws
        return system

    @property
    def alternatives(self) -> "Mapping[str, Model]":
        """This system with each of the gradients that its shells offer, by name: the same outputs, another slope.

        A name stands for all shells that know it; the others keep theirs. Empty where none offers a choice.
        """
        offered = [getattr(shell, "alternatives", {}) for shell in self.shells]
        names = dict.fromkeys(name for alternatives in offered for name in alternatives)
        return {
            name: self.through(
                [known.get(name, own) for known, own in zip(offered, self.shells, strict=True)], draws=self.draws
            )
            for name in names
        }

    def evaluations(self, rng: Draws | None) -> list[Draws | None]:
        """The streams of each evaluation that an expectation is taken over; several for a randomized system only."""
        if rng is None or not self.randomized:
            return [rng]
        return [rng, *(rng.fork(f"draw {draw}") for draw in range(1, self.draws))]

    @property
    def randomized(self) -> bool:
        """Whether two evaluations of one image may differ."""
        return any(shell.randomized for shell in self.shells)

    @property
    def sha(self) -> str:
        """Hash of architecture, weights, normalisation and shells; what it misses, `Behaviour` asks for."""
        if not self.shells:
            return self._net_sha
        return hashlib.sha256(f"{self._net_sha}{self.shells!r}".encode()).hexdigest()[:16]

    @cached_property
    def _net_sha(self) -> str:
        return hash_of(self.net, self._normalization, self._network_task)

    def check(self, x: Tensor) -> None:
        """Raise InputError unless `x` are images this model takes: float32 (N, C, H, W) in [0, 1] on its device."""
        check_images(x, (None, None, None) if self.shells else self.shape)  # shells may change the shape
        if x.device != self.device:
            raise InputError(f"Expected images on {self.device}, where {self.name} is, got {x.device}; use x.to(...).")

    def __call__(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Outputs for images in [0, 1]. `rng` holds one stream per image, for randomized systems.

        Raises InputError for what are no images, given to it or by one shell to the next, and for outputs that the task
        does not know.
        """
        self.check(x)
        (outputs,) = self._expect(lambda streams: [self._evaluate(x, streams, look=check_handed_on)], rng)
        self.task.check_outputs(outputs, len(x))
        return outputs

    def logits(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """The same without the checks: for the inner loop of an attack, whose iterates are images by construction."""
        (outputs,) = self._expect(lambda streams: [self._evaluate(x, streams)], rng)
        return outputs

    def predict(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """Decoded predictions, without gradient."""
        with torch.no_grad():
            return self.task.predict(self(x, rng=rng))

    def judge(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """`predict`, but of the outputs `averaged` over all evaluations: what a point comes to, for whoever attacks.

        A search that asked a randomized system once a step would soon meet one lucky draw, and rest on it.
        """
        self.check(x)
        with torch.no_grad():
            outputs = self.averaged(x, rng=rng)
        self.task.check_outputs(outputs, len(x))
        return self.task.predict(outputs)

    def averaged(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """The task's average of the outputs of all evaluations; unchecked, like `logits`."""
        return self.average(self.each(x, rng=rng))

    def each(self, x: Tensor, *, rng: Draws | None = None) -> list[Tensor]:
        """The outputs of every evaluation, each with its own gradient; unchecked, like `logits`."""
        return [self._evaluate(x, streams) for streams in self.evaluations(rng)]

    def average(self, outputs: Sequence[Tensor]) -> Tensor:
        """The task's average of the outputs of several evaluations; those of a single one as they are."""
        return outputs[0] if len(outputs) == 1 else self.task.average(torch.stack(tuple(outputs), dim=1))

    def features(self, x: Tensor, *, rng: Draws | None = None) -> list[Tensor]:
        """Outputs of the `feature_names`, in their order; of a layer used several times one after the other.

        `x` may leave [0, 1]: crafting does not clip. Raises ConfigError where the model names no features, or one that
        it does not use.
        """
        if not self.feature_names:
            raise ConfigError(f"{self.name} names no feature layers; give Model(..., features=(...)).")
        check_layout(x, self.shape)
        images = x.clamp(0, 1) if self.shells else x  # a shell is promised images
        return self._expect(lambda streams: self._activations(images, streams), rng)

    def seen(self, x: Tensor, *, rng: Draws | None = None) -> Tensor:
        """The images (M, C, H, W) that the network is given to answer (N, C, H, W); M = N but for views."""
        found: list[Tensor] = []
        with torch.no_grad():
            self.watched(x, lambda shell, images: found.append(images), rng=rng)
        return found[-1] if found else x

    def watched(self, x: Tensor, look: Look, *, rng: Draws | None = None) -> Tensor:
        """Outputs, unchecked like `logits`; `look` is shown what each shell hands on, the outermost first."""
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
        """Its outputs for images, without what is around it."""
        if self.shells:
            check_layout(x, self.shape)
        prepared = self._prepare(self.passes.follow(x))
        outputs = main_output(self.net(prepared), self.name, as_outputs_of(self._network_task, len(x)))
        return outputs.float()  # of a network in another precision

    def _activations(self, x: Tensor, rng: Draws | None) -> list[Tensor]:
        found = record(self.net, self.feature_names, lambda: self._evaluate(x, rng), self.name)
        return [feature.float() for feature in found]

    def _expect(self, evaluate: Callable[[Draws | None], list[Tensor]], rng: Draws | None) -> list[Tensor]:
        """One evaluation, with the gradient of several where the system is randomized and a gradient is wanted."""
        first, *others = self.evaluations(rng)
        found = evaluate(first)
        if not (others and found[0].requires_grad):
            return found
        return [mean_gradient(*same) for same in zip(found, *map(evaluate, others), strict=True)]

    def _prepare(self, x: Tensor) -> Tensor:
        """What the network is fed; gradients come back in the usual memory format, faster for all but convolutions."""
        images = self._normalization(x.contiguous()).to(self.precision)
        if self.memory_format is torch.contiguous_format:
            return images
        if images.requires_grad:
            images.register_hook(torch.Tensor.contiguous)
        return images.contiguous(memory_format=self.memory_format)
