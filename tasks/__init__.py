"""Tasks, which define what a network's outputs mean, and the generalized fooling rate that all of them share."""

from .depth import Depth as Depth
from .gfr import gfr as gfr
from .recognition import AbstainingRecognition as AbstainingRecognition
from .recognition import Recognition as Recognition
from .segmentation import Segmentation as Segmentation
