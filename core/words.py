"""Wording that several messages share."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which is given in the singular."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"
