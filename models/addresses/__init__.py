"""Networks by address, with one file per source."""

from ...core.registry import models
from . import huggingface, imagenet, python_object, robustbench, timm, torchvision
from .imagenet_classes import imagenet_classes as imagenet_classes

for _module in (imagenet, torchvision, timm, huggingface, robustbench):
    models.families[_module.SOURCE.prefix] = _module.SOURCE.family
models.objects = python_object.FAMILY
