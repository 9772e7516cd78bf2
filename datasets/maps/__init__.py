"""Data sets with a map of the truth for each picture, by address: a file for each kind, and what they share."""

from ...core.registry import datasets
from . import kitti, voc
from .base import MapPictures as MapPictures

datasets.families["voc"] = voc.FAMILY
datasets.families["kitti"] = kitti.FAMILY
