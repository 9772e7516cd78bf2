"""What of a defense has to learn."""

from ...core.defense import Defense
from ...core.errors import FOREIGN
from ...core.learned import Learned
from ...core.learned_defense import LearnedDefense


def learning_parts(defense: Defense) -> list[LearnedDefense]:
    """In their order."""
    found: list[LearnedDefense] = []

    def noted(part: LearnedDefense) -> Learned:
        found.append(part)
        return Learned({})

    defense.with_learned(noted)
    return found


def learns(defense: Defense | None) -> bool:
    """Whether it has to."""
    try:
        return defense is not None and bool(learning_parts(defense))
    except FOREIGN:  # which it says again when it is taught
        return True
