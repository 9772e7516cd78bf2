"""Networks trained on the digits, and how they were trained."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from ...core.winners import WinnersTakeAll
from ...tasks.recognition import Recognition
from ..training import Training
from ..zoo import Entry, register
from . import convnet, linear, resnet, scattering

_CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ROBUST = 0.1
"""Linf budget of adversarial training. For a linear classifier with two classes, one step finds the exact maximum."""


def _entry(net: str, build: Callable[[], nn.Module], features: tuple[str, ...], training: Training) -> Entry:
    return Entry(
        dataset="digits",
        net=net,
        build=build,
        task=Recognition(classes=10),
        shape=(1, 8, 8),
        mean=0.5,
        std=0.5,
        features=features,
        class_names=_CLASSES,
        training=training,
        training_images=1285,
        folder=Path(__file__).parent / "weights",
    )


def _still(eps: float) -> Training:
    """Return a training without translations, for which a linear classifier lacks capacity."""
    return Training(epochs=100, learning_rate=1e-2, shift=0, flip=False, permute_channels=False, eps=eps)


def _moved(eps: float = 0.0) -> Training:
    return Training(epochs=30, shift=1, flip=False, permute_channels=False, eps=eps)


_WINNERS = partial(WinnersTakeAll, 0.2)
_CONVNET_K_WTA = partial(convnet.convnet, activation=_WINNERS)
_RESNET_K_WTA = partial(resnet.resnet, activation=_WINNERS)

ENTRIES = register(
    (
        _entry("convnet", convnet.convnet, convnet.FEATURES, _moved()),
        _entry("convnet-k-wta", _CONVNET_K_WTA, convnet.FEATURES, _moved()),
        _entry("convnet-k-wta-linf", _CONVNET_K_WTA, convnet.FEATURES, _moved(_ROBUST)),
        _entry("resnet", resnet.resnet, resnet.FEATURES, _moved()),
        _entry("resnet-k-wta", _RESNET_K_WTA, resnet.FEATURES, _moved()),
        _entry("resnet-k-wta-linf", _RESNET_K_WTA, resnet.FEATURES, _moved(_ROBUST)),
        _entry("scattering", scattering.scattering, scattering.FEATURES, _moved()),
        _entry("linear", linear.linear, linear.FEATURES, _still(0.0)),
        _entry("linear-linf", linear.linear, linear.FEATURES, _still(_ROBUST)),
    )
)
