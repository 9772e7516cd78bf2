"""Calls of foreign code: whatever it raises becomes one sentence that names its source."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import ConfigError, FoolbenchError, foreign_errors, one_line


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Context manager: raise ConfigError for all that foreign code raises but foolbench's own errors and Ctrl-C."""
    try:
        yield
    except FoolbenchError:
        raise
    except foreign_errors() as error:
        raise ConfigError(f"{what} raised {one_line(error)}.") from error
