"""A rate that somebody states, in percent."""

from .errors import ConfigError


def checked_percent(value: object, what: str) -> float:
    """Raises ConfigError for what is no number in 0..100; `what` names it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ConfigError(f"Expected {what} in percent, a number in 0..100, got {value!r}.")
    return float(value)
