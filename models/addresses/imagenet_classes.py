"""What the thousand classes of ImageNet are called, in the order of everybody's networks."""

from functools import cache


@cache
def imagenet_classes() -> tuple[str, ...]:
    """torchvision carries them."""
    from torchvision.models import ResNet18_Weights  # here: it takes a second, which lists of names need not

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
