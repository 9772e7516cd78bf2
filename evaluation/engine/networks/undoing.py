"""What foreign code has changed of a network is undone, whatever ended it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ....core.errors import FOREIGN, ConfigError, OutputError


@contextmanager
def undoing(undo: Callable[[], bool], refused: Callable[[], ConfigError]) -> Iterator[None]:
    """Around foreign code: `undo` restores the network and says whether it had been changed. If so `refused` is raised.

    It comes in the place of what the code itself raises. Whoever ends it from outside, as Ctrl-C does, or a full
    disk, meets it in the middle, where a change may be one for the moment: what they raise remains.
    """
    try:
        yield
    except BaseException as error:
        if undo() and isinstance(error, FOREIGN) and not isinstance(error, OutputError):
            raise refused() from error
        raise
    if undo():
        raise refused()
