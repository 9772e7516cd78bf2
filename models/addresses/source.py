"""What every source of networks has in common: from a name and options to a Model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...core.errors import FOREIGN, ConfigError, FoolbenchError, WeightsError, one_line
from ...core.foreign import foreign
from ...core.model import Model
from ...core.network import precision
from ...core.normalization import Normalization
from ...core.outputs import main_output
from ...core.preprocess import Preprocess
from ...core.registry import Family
from ...core.task import Task
from ...tasks.depth import Depth
from ...tasks.recognition import Recognition
from ...tasks.segmentation import Segmentation
from ..feature_rule import feature_layers
from .weights import fill, is_weights_file

T = TypeVar("T")

RANDOM = "none"
"""As weights: those that the network is made with."""
OTHERWISE = f'without a connection give weights = a file, or "{RANDOM}" for random ones'
SIZES = (224, 128, 64, 32, 28, 8)
"""What a network that does not say its size is tried on."""
LARGEST, MOST_CLASSES = 4096, 1_000_000
"""Of an image's side and of a network's outputs: what is more is a slip, and would fill the memory."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What may stand beside an address. None leaves the choice to the source.

    `weights` is a name that the source knows, a file, or "none" for random ones. `features` are the layers that feature
    attacks disturb. `mean` and `std` normalise pixels in [0, 1], `size` is the (height, width) of the images.
    """

    weights: str | None = None
    features: tuple[str, ...] | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    classes: int | None = None
    size: tuple[int, int] | None = None
    expect_clean: float | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= LARGEST for side in self.size):
            raise ConfigError(f"Expected size = [height, width] of 1 to {LARGEST} pixels, got {list(self.size)}.")
        if self.classes is not None and not 2 <= self.classes <= MOST_CLASSES:
            raise ConfigError(f"Expected classes in 2..{MOST_CLASSES}, got {self.classes}.")

    @property
    def file(self) -> Path | None:
        """Of the weights, where they are one."""
        return Path(self.weights).expanduser() if self.weights and is_weights_file(self.weights) else None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network as its source gives it, with what the source knows of its images.

    Keys of weights files that begin with one of `unused` are of parts that it does without.
    """

    net: nn.Module
    preprocess: Preprocess | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """Names `PREFIX:NAME` of networks.

    `check(name)` raises ConfigError for one that the source does not know, or where its package is missing;
    `build(name, options)` makes it, with trained weights unless the options say "none" or name a file.
    """

    prefix: str
    pattern: str
    summary: str
    check: Callable[[str], None]
    build: Callable[[str, Options], Network]

    @property
    def family(self) -> Family[Model]:
        return Family({self.pattern: self.summary}, self.loader, is_open=True)

    def loader(self, address: str) -> Callable[..., Model]:
        """The function that loads it; its parameters are the options."""
        name = address.removeprefix(f"{self.prefix}:")
        self.check(name)

        def load(**given: Any) -> Model:
            options = Options(**given)
            with seeded(), foreign(address):
                network = self.build(name, options)
            return to_model(address, network, options)

        load.__doc__ = self.summary
        load.__signature__ = signature(Options)  # pyright: ignore[reportFunctionMemberAccess]
        return load


def to_model(address: str, network: Network, options: Options) -> Model:
    """Raises ConfigError where the network cannot be tried on an image, or gives nothing that a task knows."""
    if options.file is not None:
        fill(network.net, options.file, network.unused)
    preprocess = _resized(network.preprocess, options.size)
    network = replace(
        network,
        net=network.net.eval(),
        preprocess=preprocess,
        mean=network.mean if options.mean is None else options.mean,
        std=network.std if options.std is None else options.std,
    )
    x = _accepted_images(address, network, options.size)
    if preprocess is None and tuple(x.shape[2:]) != (SIZES[0], SIZES[0]):
        preprocess = Preprocess(size=(x.shape[2], x.shape[3]), resize=min(x.shape[2:]))  # it does not take all sizes
    task = _task(address, network.net, x, options.classes)
    return Model(
        network.net,
        task=task,
        mean=network.mean,
        std=network.std,
        features=feature_layers(network.net, x) if options.features is None else options.features,
        shape=(x.shape[1], *(preprocess.size if preprocess else (None, None))),
        name=address,
        expect_clean=options.expect_clean,
        preprocess=preprocess,
        class_names=network.class_names if len(network.class_names) == getattr(task, "classes", None) else (),
        random_weights=options.weights == RANDOM,
    )


def fetched(address: str, fetch: Callable[[], T], otherwise: str = OTHERWISE) -> T:
    """What a library makes of a name, weights and all. Raises WeightsError where it cannot: why, and what to do."""
    try:
        return fetch()
    except FoolbenchError:
        raise
    except FOREIGN as error:  # of the network, of the hub, of the file: each library has its own
        raise WeightsError(f"{address} could not be had ({one_line(error)[:300]}); {otherwise}.") from error


@contextmanager
def seeded() -> Iterator[None]:
    """Random weights are the same each time that they are made."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _resized(preprocess: Preprocess | None, size: tuple[int, int] | None) -> Preprocess | None:
    """For images of another size, resized and cut in the same proportions."""
    if size is None:
        return preprocess
    if preprocess is None:
        return Preprocess(size=size, resize=min(size))
    resize = preprocess.resize and round(preprocess.resize * min(size) / min(preprocess.size))
    return replace(preprocess, size=size, resize=resize)


def _accepted_images(address: str, network: Network, size: tuple[int, int] | None) -> Tensor:
    """A batch of images, normalised, that the network takes."""
    sizes = [network.preprocess.size] if network.preprocess else [(size, size) for size in SIZES]
    problem = None
    for channels, tried in product(_channels(network), sizes):
        x = _images(network, channels, tried)
        try:
            with torch.no_grad():
                network.net(x)
        except FOREIGN as error:  # of a stranger's network: it is what is said
            problem = problem or error
        else:
            return x
    pixels = " or ".join(f"{height} x {width}" for height, width in sizes)
    why = one_line(problem or Exception())[:300]
    remedy = "set size = [height, width]" if size is None else "set another size or none"
    raise ConfigError(
        f"{address} cannot be run on {pixels} pixels ({why}); {remedy}, and mean = [a value for each channel] where "
        "they are neither of one channel nor of three."
    )


def _channels(network: Network) -> tuple[int, ...]:
    """As many as the network must have, or may have: of colours, then of grey, then whatever a convolution takes.

    The first that is registered need not be the first that is used.
    """
    if (known := Normalization(network.mean, network.std, None).channels) is not None:
        return (known,)
    taken = dict.fromkeys(part.in_channels for part in network.net.modules() if isinstance(part, nn.Conv2d))
    usual = [channels for channels in (3, 1) if not taken or channels in taken]
    return tuple(dict.fromkeys([*usual, *taken]))


def _images(network: Network, channels: int, size: tuple[int, int]) -> Tensor:
    x = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(0))
    return Normalization(network.mean, network.std, channels)(x).to(precision(network.net))


def _task(address: str, net: nn.Module, x: Tensor, classes: int | None) -> Task:
    """By the shape of what it answers: class scores of each image or of each pixel, or a number for each pixel."""
    with torch.no_grad():
        outputs = main_output(net(x), address, lambda tensor: tensor.ndim in (2, 3, 4) and len(tensor) == len(x))
    count, *shape = outputs.shape
    maps = shape[-2:] == list(x.shape[2:])
    if count == len(x) and maps and (len(shape) == 2 or shape[0] == 1):
        return Depth()
    if count != len(x) or not (len(shape) == 1 or (len(shape) == 3 and maps)):
        raise ConfigError(
            f"Expected class scores (N, classes), or maps of the images' size (N, classes, H, W) or (N, 1, H, W), from "
            f"{address}, got a tensor of shape {tuple(outputs.shape)}; wrap the network in a module that gives them."
        )
    if shape[0] < 2:
        raise ConfigError(
            f"Expected scores of at least 2 classes from {address}, got {shape[0]}; let a detector of one thing give "
            "its scores of both answers."
        )
    if classes not in (None, shape[0]):
        raise ConfigError(f"Expected {classes} classes from {address}, got {shape[0]}.")
    return Recognition(classes=shape[0]) if len(shape) == 1 else Segmentation(classes=shape[0])
