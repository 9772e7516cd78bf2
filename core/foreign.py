"""Code of others, called by name: whatever it raises becomes one sentence that says whose it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import FOREIGN, ConfigError, FoolbenchError, one_line


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Around a call of code that is not ours. Raises ConfigError for all but foolbench's own errors and Ctrl-C."""
    try:
        yield
    except FoolbenchError:
        raise
    except FOREIGN as error:
        raise ConfigError(f"{what} raised {one_line(error)}.") from error
