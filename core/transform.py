"""What stands before a network: transforms of images, one after the other."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol

from torch import Tensor

from .errors import InputError
from .images import check_images
from .seeding import Draws


class Transform(Protocol):
    """What can stand before a network.

    `differentiable`: gradients through it are those of its forward pass. `randomized`: two evaluations of one image may
    differ.
    """

    differentiable: ClassVar[bool]
    randomized: ClassVar[bool]

    def transform(self, x: Tensor, *, rng: Draws) -> Tensor:
        """Images in [0, 1] to images in [0, 1]; `rng` holds one stream per image.

        The result is (N, C, H, W), or (N, V, C, H, W): V views of each image, whose outputs the task averages.
        """
        ...


def stages(transforms: Sequence[Transform], x: Tensor, rng: Draws) -> Iterator[Tensor]:
    """What each transform in turn makes of images (N, C, H, W); views of one image lie together, (N * V, C, H, W)."""
    for place, transform in enumerate(transforms):
        x = transform.transform(x, rng=rng.fork(place))
        if x.ndim == 5:
            rng = rng.split(x.shape[1])
            x = x.flatten(0, 1)
        yield x


def transformed(transforms: Sequence[Transform], x: Tensor, rng: Draws, *, check: bool = False) -> Tensor:
    """What the last of them makes. With `check`, raises InputError where one gives anything but images in [0, 1]."""
    for transform, after in zip(transforms, stages(transforms, x, rng), strict=True):
        x = after
        if check:
            _check(transform, after)
    return x


def _check(transform: Transform, after: Tensor) -> None:
    try:
        check_images(after)
    except InputError as error:
        raise InputError(f"What {transform!r} makes of images: {error}") from None
