"""What a network is put into: shells, each of which answers by means of what lies inside it."""

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
    """What can stand around a network.

    `differentiable`: gradients through it are those of its forward pass. `randomized`: two evaluations of one image may
    differ. One that has `abstains` = True gives outputs of the task `abstaining`: it may reject an image.
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]

    def answer(self, inside: "Inside", x: Tensor, *, rng: Draws) -> Tensor:
        """The task's outputs for images (N, C, H, W) in [0, 1]; `rng` holds one stream per image."""
        ...


Look = Callable[[Shell, Tensor], None]
"""Is shown the images (M, C, H, W) that each shell hands on to what is inside it."""


@dataclass(frozen=True, kw_only=True)
class Inside:
    """What lies inside a shell, as a function of images: further shells, and the network in their midst.

    `net` is that network, to be changed for as long as an evaluation takes (`rewired`); `task` is what the outputs
    mean. The other fields are the harness's own.
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
        """Outputs for images (N, C, H, W) in [0, 1], those that the shell was given or as many in their place.

        (N, V, C, H, W) are V views of each image, with random streams of their own: the task averages their outputs.
        """
        if x.ndim == 5:
            return self._averaged(x)
        if self.place > 0:
            self.look(self.shells[self.place - 1], x)
        if self.place == len(self.shells):
            return self.network(x)
        call = next(self.calls)  # one that asks again meets new draws
        streams = self.streams.fork(("call", call)) if call else self.streams
        within = replace(self, place=self.place + 1, streams=streams, calls=count())
        return self.shells[self.place].answer(within, x, rng=streams.fork(self.place))

    def anew(self) -> "Inside":
        """The same as nobody has called it yet: it meets the draws that the first calls meet."""
        return replace(self, calls=count())

    def of_views(self, x: Tensor) -> Tensor:
        """Outputs (N, V, ...) for V views (N, V, C, H, W) of each image."""
        images, views = x.shape[:2]
        return replace(self, streams=self.streams.split(views))(x.flatten(0, 1)).unflatten(0, (images, views))

    def _averaged(self, x: Tensor) -> Tensor:
        outputs = self.of_views(x)
        return outputs[:, 0] if x.shape[1] == 1 else self.task.average(outputs)


def task_behind(shells: Sequence[Shell], task: Task) -> Task:
    """What the outputs mean of a network of `task` inside `shells`, one of which may abstain."""
    for shell in reversed(shells):
        if getattr(shell, "abstains", False):
            task = task.abstaining()
    return task


def check_handed_on(shell: Shell, images: Tensor) -> None:
    """Raise InputError where what a shell hands on are no images."""
    try:
        check_images(images)
    except InputError as error:
        raise InputError(f"What {shell!r} makes of images: {error}") from None
