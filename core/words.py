"""Words that several sentences share."""


def counted(number: int, noun: str) -> str:
    """The noun, which is given in the singular, after so many of it."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"
