"""The hub of Hugging Face, through its own library, where it may be out of reach.

The library asks for each file six times, and waits in between: 47 seconds until a machine without a connection is told
so. Here it is asked once whether the hub answers; where it does not, what the library has kept is used without asking.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ...core.errors import FOREIGN, one_line
from .packages import package

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds until a hub that does not answer is out of reach."""


def from_hub(fetch: Callable[[], T], needed_by: str, install: str) -> T:
    """What `fetch` makes of files of the hub. Raises ConnectionError where it is out of reach and they are not kept."""
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
    """Why the hub does not answer. What it answers does not matter."""
    try:
        hub.get_session().head(hub.constants.ENDPOINT, timeout=PATIENCE)
    except FOREIGN as error:  # of the library below the hub's, which has changed before
        return one_line(error)
    return None


@contextmanager
def _offline(constants: Any) -> Iterator[None]:
    """The library's own switch; the environment variable of that name is read when it is imported only."""
    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
