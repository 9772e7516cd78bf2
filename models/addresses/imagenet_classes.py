"""What the thousand classes of ImageNet are called, in the order of everybody's networks."""

from functools import cache

from torchvision.models import ResNet18_Weights


@cache
def imagenet_classes() -> tuple[str, ...]:
    """torchvision carries them."""
    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
