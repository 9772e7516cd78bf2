"""Common code of all sources of networks: turn a name and options into a Model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import signature
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError, FoolbenchError, WeightsError, foreign_errors, one_line
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
from .padded import INNER, Padded
from .weights import fill, is_weights_file

T = TypeVar("T")

RANDOM = "none"
"""Value of the option `weights` that keeps the network's random initial weights."""
OTHERWISE = f'without a connection give weights = a file, or "{RANDOM}" for random ones'
SIZES = (224, 128, 64, 32, 28, 8)
"""Sides of the images that a network is tried on if it does not specify its input size."""
LARGEST, MOST_CLASSES = 4096, 1_000_000
"""Largest image side in pixels, and number of outputs: more would be a mistake, and exhaust the memory."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options beside the address of a network; None leaves the choice to the source.

    `weights` is a name that the source knows, a file, or "none" for random ones. `features` are the layers that feature
    attacks disturb. `mean` and `std` normalise pixels in [0, 1], `size` is the (height, width) of the images, and
    `expect_clean` the expected main metric on clean images, in percent. If the network takes only sides that are
    multiples of a number, `stride` is that number, see `Padded`. Raises ConfigError for values out of range.
    """

    weights: str | None = None
    features: tuple[str, ...] | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    classes: int | None = None
    size: tuple[int, int] | None = None
    stride: int | None = None
    expect_clean: float | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= LARGEST for side in self.size):
            raise ConfigError(f"Expected size = [height, width] of 1 to {LARGEST} pixels, got {list(self.size)}.")
        if self.stride is not None and not 1 <= self.stride <= LARGEST:
            raise ConfigError(f"Expected stride in 1..{LARGEST} pixels, got {self.stride}.")
        if self.classes is not None and not 2 <= self.classes <= MOST_CLASSES:
            raise ConfigError(f"Expected classes in 2..{MOST_CLASSES}, got {self.classes}.")

    @property
    def file(self) -> Path | None:
        """The weights file, None if `weights` is not a file."""
        return Path(self.weights).expanduser() if self.weights and is_weights_file(self.weights) else None


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network from a source, with what the source knows about its input images and classes.

    In weights files, keys that start with one of `unused` belong to parts that the network lacks, and are ignored.
    """

    net: nn.Module
    preprocess: Preprocess | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    class_names: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source of networks with addresses `PREFIX:NAME`.

    `check(name)` raises ConfigError for unknown names, or if the source's package is missing; `build(name, options)`
    builds the network, with trained weights unless the options say "none" or name a file. `pattern` and `summary` are
    shown in lists of names.
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
        """Return the function that loads the network; its parameters are the fields of `Options`."""
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
    """Wrap a network as a Model; its task, features and, if unknown, image size are found by trying it on images.

    Raises ConfigError if the network cannot be run on an image, or if its outputs fit no task.
    """
    if options.file is not None:
        fill(network.net, options.file, network.unused)
    preprocess = _resized(network.preprocess, options.size)
    net = network.net.eval()
    network = replace(
        network,
        net=net if options.stride is None else Padded(net, options.stride).eval(),
        preprocess=preprocess,
        mean=network.mean if options.mean is None else options.mean,
        std=network.std if options.std is None else options.std,
    )
    x = _accepted_images(address, network, options.size)
    if preprocess is None and tuple(x.shape[2:]) != (SIZES[0], SIZES[0]):
        preprocess = Preprocess(size=(x.shape[2], x.shape[3]), resize=min(x.shape[2:]))  # not all sizes are accepted
    task = _task(address, network.net, x, options.classes)
    return Model(
        network.net,
        task=task,
        mean=network.mean,
        std=network.std,
        features=_features(network.net, x, options.features),
        shape=(x.shape[1], *(preprocess.size if preprocess else (None, None))),
        name=address,
        expect_clean=options.expect_clean,
        preprocess=preprocess,
        class_names=network.class_names if len(network.class_names) == getattr(task, "classes", None) else (),
        random_weights=options.weights == RANDOM,
    )


def fetched(address: str, fetch: Callable[[], T], otherwise: str = OTHERWISE) -> T:
    """Return `fetch()`, a network with weights from a library; raises WeightsError, with a remedy, if it fails."""
    try:
        return fetch()
    except FoolbenchError:
        raise
    except foreign_errors() as error:  # connection, hub or file errors, which differ between libraries
        raise WeightsError(f"{address} could not be had ({one_line(error)[:300]}); {otherwise}.") from error


@contextmanager
def seeded() -> Iterator[None]:
    """Context manager in which random weights are reproducible."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def _resized(preprocess: Preprocess | None, size: tuple[int, int] | None) -> Preprocess | None:
    """Return the preprocessing for images of another size, with the same proportion of resizing to cropping."""
    if size is None:
        return preprocess
    if preprocess is None:
        return Preprocess(size=size, resize=min(size))
    resize = preprocess.resize and round(preprocess.resize * min(size) / min(preprocess.size))
    return replace(preprocess, size=size, resize=resize)


def _features(net: nn.Module, x: Tensor, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the feature layers, those `given` or those of the rule; inside of `Padded` they have its prefix."""
    if not isinstance(net, Padded):
        return feature_layers(net, x) if given is None else given
    known, inner = dict(net.named_modules()), net.net
    names = feature_layers(inner, net.padded(x)) if given is None else given
    return tuple(name if given is not None and name in known else f"{INNER}.{name}" for name in names)


def _accepted_images(address: str, network: Network, size: tuple[int, int] | None) -> Tensor:
    """Return a batch of normalised random images that the network accepts."""
    sizes = [network.preprocess.size] if network.preprocess else [(size, size) for size in SIZES]
    problem = None
    for channels, tried in product(_channels(network), sizes):
        x = _images(network, channels, tried)
        try:
            with torch.no_grad():
                network.net(x)
        except foreign_errors() as error:  # the first one is reported
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
    """Return the numbers of channels to try: that of `mean` and `std`, else 3, 1, and those of any convolution.

    All convolutions count, since the first that is registered need not be the first that is used.
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
    """Infer the task from the shape of the outputs: class scores per image or per pixel, or one number per pixel."""
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
