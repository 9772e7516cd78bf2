"""The six networks trained on the scenes, with what trained them."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from ...tasks.recognition import Recognition
from ..training import Training
from ..zoo import Entry, register
from . import caffenet, googlenet, resnet, vgg, vgg_f

CLASSES = ("sphere", "cube", "cylinder", "cone", "torus", "capsule", "pyramid", "octahedron", "wedge", "cross")


def _entry(net: str, build: Callable[[], nn.Module], features: tuple[str, ...], training: Training) -> Entry:
    return Entry(
        dataset="scenes",
        net=net,
        build=build,
        task=Recognition(classes=10),
        shape=(3, 64, 64),
        mean=0.5,
        std=0.25,
        features=features,
        class_names=CLASSES,
        training=training,
        training_images=16_000,
        folder=Path(__file__).parent / "weights",
    )


ENTRIES = register(
    (
        _entry("caffenet", caffenet.caffenet, caffenet.FEATURES, Training(epochs=10)),
        _entry("vgg-f", vgg_f.vgg_f, vgg_f.FEATURES, Training(epochs=6)),
        _entry("googlenet", googlenet.googlenet, googlenet.FEATURES, Training(epochs=8)),
        _entry("vgg16", vgg.vgg16, vgg.FEATURES_16, Training(epochs=8)),
        _entry("vgg19", vgg.vgg19, vgg.FEATURES_19, Training(epochs=6)),
        _entry("resnet", resnet.resnet, resnet.FEATURES, Training(epochs=16, learning_rate=3e-3)),
    )
)
