"""Names of ImageNet's thousand classes, in the usual order of network outputs."""

from functools import cache


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the names, which torchvision contains."""
    from torchvision.models import ResNet18_Weights  # imported late: it takes a second, which lists of names need not

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
