"""Shells: wrappers around a network, each of which answers by calling what lies inside it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import ClassVar, Protocol

from torch import Tensor, nn

from .errors import InputError
from .images import check_images
from .seeding import Draws
from .task import Task


class Shell(Protocol):
    """The interface of whatever can wrap a network, as a defense does.

    `differentiable`: autograd gives the gradient of its forward pass. `randomized`: two evaluations of one image may
    differ. A shell with `abstains` = True may reject an image: its outputs are those of the task `abstaining`.
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]

    def answer(self, inside: "Inside", x: Tensor, *, rng: Draws) -> Tensor:
        """Return the task's outputs for images (N, C, H, W) in [0, 1]; `rng` holds one stream per image."""
        ...


Look = Callable[[Shell, Tensor], None]
"""A callback that gets each shell and the images (M, C, H, W) that it hands on to what is inside it."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What lies inside a shell, as a function of images: the inner shells and the network.

    `net` is the network, whose layers may be changed during an evaluation (`rewired`); `task` is that of the outputs.
    The other fields are internal.
    """

    net: nn.Module
    network_task: Task
    network: Callable[[Tensor], Tensor]
    shells: Sequence[Shell]
    streams: Draws
    place: int = 0
    look: Look = lambda shell, images: None
    calls: Iterator[int] = field(default_factory=count)

    @property
    def task(self) -> Task:
        return task_behind(self.shells[self.place :], self.network_task)

    def __call__(self, x: Tensor) -> Tensor:
        """Return outputs for images (N, C, H, W) in [0, 1]: those that the shell was given, or as many others.

        For V views of each image, (N, V, C, H, W), each with a random stream of its own, returns the task's average.
        """
        if x.ndim == 5:
            return self._averaged(x)
        if self.place > 0:
            self.look(self.shells[self.place - 1], x)
        if self.place == len(self.shells):
            return self.network(x)
        call = next(self.calls)  # a repeated call gets new random streams
        streams = self.streams.fork(("call", call)) if call else self.streams
        within = replace(self, place=self.place + 1, streams=streams, calls=count())
        return self.shells[self.place].answer(within, x, rng=streams.fork(self.place))

    def anew(self) -> "Inside":
        """Return a copy that counts its calls from zero: they get the random streams of the first calls."""
        return replace(self, calls=count())

    def of_views(self, x: Tensor) -> Tensor:
        """Return the outputs (N, V, ...) for V views (N, V, C, H, W) of each image."""
        images, views = x.shape[:2]
        return replace(self, streams=self.streams.split(views))(x.flatten(0, 1)).unflatten(0, (images, views))

    def _averaged(self, x: Tensor) -> Tensor:
        outputs = self.of_views(x)
        return outputs[:, 0] if x.shape[1] == 1 else self.task.average(outputs)


def task_behind(shells: Sequence[Shell], task: Task) -> Task:
    """Return the task of a network inside `shells`: its own, or the abstaining variant if a shell abstains."""
    for shell in reversed(shells):
        if getattr(shell, "abstains", False):
            task = task.abstaining()
    return task


def check_handed_on(shell: Shell, images: Tensor) -> None:
    """Raise InputError if a shell hands on anything but valid images."""
    try:
        check_images(images)
    except InputError as error:
        raise InputError(f"What {shell!r} makes of images: {error}") from None
