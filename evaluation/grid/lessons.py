"""Find the parts of a defense that have to learn."""

from ...core.defense import Defense
from ...core.errors import foreign_errors
from ...core.learned import Learned
from ...core.learned_defense import LearnedDefense
from ...core.place import ALONE, Place


def learning_parts(defense: Defense) -> list[LearnedDefense]:
    """Return the parts of a defense that learn, in the order in which they are fitted."""
    found: list[LearnedDefense] = []

    def noted(part: LearnedDefense, place: Place = ALONE) -> Learned:
        found.append(part)
        return Learned({})

    defense.with_learned(noted)
    return found


def learns(defense: Defense | None) -> bool:
    """Return whether a defense has to learn; True also if a foreign one raises an error when it is asked."""
    try:
        return defense is not None and bool(learning_parts(defense))
    except foreign_errors():  # raised again when it is fitted, and reported then
        return True
