"""Data sets with a ground truth map for each picture, by address, one file per kind, and the code that they share."""

from ...core.registry import datasets
from . import kitti, voc
from .base import MapPictures as MapPictures

datasets.families["voc"] = voc.FAMILY
datasets.families["kitti"] = kitti.FAMILY
