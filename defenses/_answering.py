"""Defenses that need an answer from the system inside them, because they decide between its classes themselves."""

from ..core.defense import Defense
from ..core.errors import ConfigError
from ..core.task import Task


def check_answering(defense: Defense, task: Task) -> None:
    """Raise ConfigError for the task of a system that may reject an image: the defense would lose the rejections."""
    if task.rejected is not None:
        raise ConfigError(
            f"{defense!r} decides between the classes itself: expected a system inside it that answers every image, "
            "got one that may reject it; in a chain, put the step that rejects before it."
        )
