"""Data sets: two that ship with foolbench, pictures by address, and substitute images for data-free attacks."""

from . import maps as maps
from . import pictures as pictures
from .digits import Digits as Digits
from .load import load_dataset as load_dataset
from .scenes.dataset import SceneDepths as SceneDepths
from .scenes.dataset import SceneMaps as SceneMaps
from .scenes.dataset import Scenes as Scenes
