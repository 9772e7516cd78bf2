"""The attacks. Image attacks return adversarial images, universal attacks craft one perturbation for all images."""

from . import foolbox_adapter as foolbox_adapter
from ._gradient import loss_and_gradient as loss_and_gradient
from ._losses import objective as objective
from .adaptive import AdaptiveEnsemble as AdaptiveEnsemble
from .apgd import APGD as APGD
from .autoattack import AutoAttack as AutoAttack
from .bim import BIM as BIM
from .carlini_wagner import CarliniWagner as CarliniWagner
from .cospgd import CosPGD as CosPGD
from .deepfool import DeepFool as DeepFool
from .fab import FAB as FAB
from .fgsm import FGSM as FGSM
from .jsma import JSMA as JSMA
from .momentum import Momentum as Momentum
from .noise import RandomSign as RandomSign
from .noise import UniformNoise as UniformNoise
from .pgd import PGD as PGD
from .rays import RayS as RayS
from .segpgd import SegPGD as SegPGD
from .square import Square as Square
from .trust_region import TrustRegion as TrustRegion
from .universal import FFF as FFF
from .universal import GDUAP as GDUAP
from .universal import UAP as UAP
from .universal import GDUAPWithFFF as GDUAPWithFFF
from .universal import UniversalPGD as UniversalPGD
