"""Classifiers trained on the scenes, and how they were trained."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ...tasks.recognition import Recognition
from ..training import Training
from ..zoo import Entry, register
from . import caffenet, googlenet, resnet, vgg, vgg_f

SOLIDS = ("sphere", "cube", "cylinder", "cone", "torus", "cross")
MATERIALS = ("brick", "grass", "gravel", "coins", "tissue")
CLASSES = tuple(f"{material} {solid}" for solid in SOLIDS for material in MATERIALS)
IMAGES = 20_000


def _entry(
    net: str,
    build: Callable[[int], nn.Module],
    features: tuple[str, ...],
    training: Training,
    finishing: Training | None = None,
) -> Entry:
    return Entry(
        dataset="scenes",
        net=net,
        build=partial(build, len(CLASSES)),
        task=Recognition(classes=len(CLASSES)),
        shape=(3, 128, 128),
        mean=0.42,
        std=0.15,
        features=features,
        class_names=CLASSES,
        training=training,
        finishing=finishing,
        training_images=IMAGES,
        folder=Path(__file__).parent / "weights",
    )


def _training(epochs: int, **changes: Any) -> Training:
    return Training(epochs=epochs, shift=8, label_grid=(len(SOLIDS), len(MATERIALS)), bfloat16=True, **changes)


_DEGRADED = _training(2, learning_rate=5e-4, blur=1.25, noise=8 / 255)
"""Second training phase on blurred and noisy images, so that smoothing defenses cost as little accuracy as possible."""
ENTRIES = register(
    (
        _entry("caffenet", caffenet.caffenet, caffenet.FEATURES, _training(44), _DEGRADED),
        _entry("vgg-f", vgg_f.vgg_f, vgg_f.FEATURES, _training(50), _DEGRADED),
        _entry("googlenet", googlenet.googlenet, googlenet.FEATURES, _training(20), _DEGRADED),
        _entry("vgg16", vgg.vgg16, vgg.FEATURES_16, _training(22), _DEGRADED),
        _entry("vgg19", vgg.vgg19, vgg.FEATURES_19, _training(14, begins_as="scenes:vgg16"), _DEGRADED),
        _entry("resnet", resnet.resnet, resnet.FEATURES, _training(14), _DEGRADED),
        _entry(
            "googlenet-linf1",
            googlenet.googlenet,
            googlenet.FEATURES,
            _training(6, eps=1 / 255, begins_as="scenes:googlenet"),
        ),
        _entry("resnet-linf1", resnet.resnet, resnet.FEATURES, _training(4, eps=1 / 255, begins_as="scenes:resnet")),
    )
)
