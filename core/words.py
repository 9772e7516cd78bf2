"""Wording that several messages share."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which is given in the singular."""
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{number} {noun}{ending}"


def budget(eps: float) -> str:
    """Return a budget as papers write it: 0.1 or 4 as it is, others that are levels of 255, or quarters, as 8/255.

    `eps` may be rounded to six decimals, as in leaderboards.
    """
    levels = round(4 * 255 * eps) / 4 if eps <= 1 else 0.0
    is_short = abs(eps - round(eps, 3)) < 1e-9
    return f"{levels:g}/255" if levels and not is_short and abs(eps - levels / 255) < 1e-6 else f"{eps:.4g}"
