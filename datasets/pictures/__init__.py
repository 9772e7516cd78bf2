"""Data sets of pictures by address, with one file per kind, and the code that they share."""

from ...core.registry import datasets
from . import cifar, folder, imagenet, python_object
from .base import Pictures as Pictures
from .photographs import PhotographCrops as PhotographCrops

datasets.families["image-folder"] = folder.FAMILY
datasets.families["imagenet"] = imagenet.FAMILY
datasets.families.update(cifar.FAMILIES)
datasets.objects = python_object.FAMILY
