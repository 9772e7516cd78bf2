"""The network trained on the digits, with what trained it."""

from pathlib import Path

from ...tasks.recognition import Recognition
from ..training import Training
from ..zoo import Entry, register
from .convnet import FEATURES, convnet

ENTRIES = register(
    (
        Entry(
            dataset="digits",
            net="convnet",
            build=convnet,
            task=Recognition(classes=10),
            shape=(1, 8, 8),
            mean=0.5,
            std=0.5,
            features=FEATURES,
            class_names=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            training=Training(epochs=30, shift=1, flip=False, permute_channels=False),
            training_images=1285,
            folder=Path(__file__).parent / "weights",
        ),
    )
)
