"""Access to the Hugging Face hub through its own library, without long waits if the hub is unreachable.

The library retries each file six times, which takes 47 seconds on a machine without a connection. Here one request
finds out whether the hub answers; if it does not, the library's cached files are used in offline mode.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ...core.errors import foreign_errors, one_line
from .packages import package

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds after which a hub that does not answer counts as unreachable."""


def from_hub(fetch: Callable[[], T], needed_by: str, install: str) -> T:
    """Return `fetch()`, which loads files from the hub or its cache.

    Raises ConnectionError if the hub is unreachable and the files are not cached.
    """
    hub = package("huggingface_hub", needed_by, install)
    problem = _problem(hub)
    if problem is None:
        return fetch()
    with _offline(hub.constants):
        try:
            return fetch()
        except hub.errors.LocalEntryNotFoundError:
            raise ConnectionError(f"{hub.constants.ENDPOINT} cannot be reached: {problem}") from None


def _problem(hub: Any) -> str | None:
    """Return why the hub does not answer; None for any answer, errors included."""
    try:
        hub.get_session().head(hub.constants.ENDPOINT, timeout=PATIENCE)
    except foreign_errors() as error:  # the hub's HTTP library has changed before
        return one_line(error)
    return None


@contextmanager
def _offline(constants: Any) -> Iterator[None]:
    """Set the library's offline switch: the environment variable of that name is only read on import."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
