"""The data: two embedded sets, and the substitute images that data-free attacks validate on."""

from .digits import Digits as Digits
from .scenes.dataset import Scenes as Scenes
