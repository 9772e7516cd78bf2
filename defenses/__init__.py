"""The defenses that ship with foolbench, one concept per file."""

from .autoencoder import Autoencoder as Autoencoder
from .barrage import BaRT as BaRT
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
from .k_wta import KWTA as KWTA
from .median import MedianSmoothing as MedianSmoothing
from .noise import RandomNoise as RandomNoise
from .odds_are_odd import OddsAreOdd as OddsAreOdd
from .pca import PCA as PCA
from .prn import PRN as PRN
from .quilting import Quilting as Quilting
from .random_self_ensemble import RandomSelfEnsemble as RandomSelfEnsemble
from .regroup import REGroup as REGroup
from .resize_pad import ResizePad as ResizePad
from .total_variation import TotalVariation as TotalVariation
from .train_mean import TrainMean as TrainMean
