"""The defenses, one concept a file."""

from .bit_depth import BitDepth as BitDepth
from .jpeg import JPEG as JPEG
from .smoothing import GaussianSmoothing as GaussianSmoothing
from .smoothing import MedianSmoothing as MedianSmoothing
