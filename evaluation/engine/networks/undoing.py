"""Undo the changes that foreign code makes to a network, however the code ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ....core.errors import ConfigError, OutputError, foreign_errors


@contextmanager
def undoing(undo: Callable[[], bool], refused: Callable[[], ConfigError]) -> Iterator[None]:
    """Return a context for foreign code that raises `refused()` if the code has changed the network.

    `undo` restores the network and returns whether it had been changed. The error replaces any that the code itself
    raises. Ctrl-C or a full disk (OutputError) may interrupt the code during a temporary change, so these exceptions
    are kept; the network is restored all the same.
    """
    try:
        yield
    except BaseException as error:
        if undo() and isinstance(error, foreign_errors()) and not isinstance(error, OutputError):
            raise refused() from error
        raise
    if undo():
        raise refused()
