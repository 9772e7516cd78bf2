"""The data: two embedded sets, pictures by address, and the substitute images that data-free attacks validate on."""

from . import maps as maps
from . import pictures as pictures
from .digits import Digits as Digits
from .load import load_dataset as load_dataset
from .scenes.dataset import SceneDepths as SceneDepths
from .scenes.dataset import SceneMaps as SceneMaps
from .scenes.dataset import Scenes as Scenes
