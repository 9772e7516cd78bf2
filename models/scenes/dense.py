"""Networks for segmentation and depth of the scenes, and how they are trained."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from ...core.task import Task
from ...tasks.depth import Depth
from ...tasks.segmentation import Segmentation
from ..training import Training
from ..zoo import Entry, register
from . import deeplab, fcn, monodepth
from .zoo import SOLIDS

IMAGES = 8_000
SEGMENTS = ("background", *SOLIDS)
_SEGMENTATION = Segmentation(classes=len(SEGMENTS))
_DEPTH = Depth(min_depth=monodepth.NEAREST, max_depth=monodepth.FARTHEST)


def _entry(
    net: str,
    build: Callable[[], nn.Module],
    features: tuple[str, ...],
    begins_as: str,
    task: Task = _SEGMENTATION,
    learns_from: str = "scenes-segmentation",
    **training: Any,
) -> Entry:
    return Entry(
        dataset="scenes",
        net=net,
        build=build,
        task=task,
        shape=(3, 128, 128),
        mean=0.42,
        std=0.15,
        features=features,
        class_names=SEGMENTS if task is _SEGMENTATION else (),
        training=Training(
            batch_size=32, shift=8, bfloat16=True, blur=1.25, noise=8 / 255, begins_as=f"scenes:{begins_as}", **training
        ),
        training_images=IMAGES,
        folder=Path(__file__).parent / "weights",
        learns_from=learns_from,
    )


def _of_depth(net: str, build: Callable[[], nn.Module], features: tuple[str, ...], begins_as: str) -> Entry:
    return _entry(net, build, features, begins_as, task=_DEPTH, learns_from="scenes-depth", epochs=3)


_CLASSES = len(SEGMENTS)
ENTRIES = (
    _entry("fcn-alex", partial(fcn.fcn_alex, _CLASSES), fcn.FEATURES_ALEX, "caffenet", epochs=6),
    _entry("fcn-8s-vgg", partial(fcn.fcn_8s, _CLASSES), fcn.FEATURES_8S, "vgg16", epochs=12),
    _entry("deeplab-vgg", partial(deeplab.deeplab_vgg, _CLASSES), deeplab.FEATURES_VGG, "vgg16", epochs=12),
    _entry("deeplab-resnet", partial(deeplab.deeplab_resnet, _CLASSES), deeplab.FEATURES_RESNET, "resnet", epochs=8),
    _of_depth("monodepth-vgg", monodepth.monodepth_vgg, monodepth.FEATURES_VGG, "vgg16"),
    _of_depth("monodepth-resnet", monodepth.monodepth_resnet, monodepth.FEATURES_RESNET, "resnet"),
)
register(tuple(entry for entry in ENTRIES if entry.weights.is_file()))
