"""The check of a rate in percent."""

from .errors import ConfigError


def checked_percent(value: object, what: str) -> float:
    """Return the value as a float. Raises ConfigError, naming it `what`, unless it is a number in 0..100."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise ConfigError(f"Expected {what} in percent, a number in 0..100, got {value!r}.")
    return float(value)
