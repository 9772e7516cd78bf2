"""The defenses, one concept a file."""

from .bilateral import BilateralSmoothing as BilateralSmoothing
from .bit_depth import BitDepth as BitDepth
from .compose import Compose as Compose
from .crops import CropEnsemble as CropEnsemble
from .crops import TenCrop as TenCrop
from .downsampling import Downsampling as Downsampling
from .gaussian import GaussianSmoothing as GaussianSmoothing
from .gradients import BPDA as BPDA
from .gradients import adaptive as adaptive
from .jpeg import JPEG as JPEG
from .median import MedianSmoothing as MedianSmoothing
from .noise import RandomNoise as RandomNoise
from .pca import PCA as PCA
from .quilting import Quilting as Quilting
from .resize_pad import ResizePad as ResizePad
from .total_variation import TotalVariation as TotalVariation
