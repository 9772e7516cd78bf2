"""Everything foolbench raises on purpose.

    FoolbenchError
    ├── InputError         images, labels or predictions that are not what a function takes   (also a ValueError)
    ├── ConfigError        a parameter, budget or recipe that makes no sense                   (also a ValueError)
    │   └── UnknownNameError   a name that nothing is registered under                         (also a LookupError)
    ├── BudgetError        an attack left its threat model
    ├── GradientError      a gradient that is not finite, which no attack can follow
    ├── WeightsError       a weights or perturbation file that is missing, corrupt or does not fit
    └── OutputError        results that cannot be written or read back

Each message is one sentence: what was expected, what was found, what to do.
"""

import difflib
from collections.abc import Iterable

MOST_SHOWN = 100
"""The most names that one message lists: a library may know thousands."""


class FoolbenchError(Exception):
    """Base of all errors that foolbench raises on purpose."""


class InputError(FoolbenchError, ValueError):
    """Images, labels or predictions that are not what the function takes."""


class ConfigError(FoolbenchError, ValueError):
    """A parameter, budget or recipe that makes no sense."""


class UnknownNameError(ConfigError, LookupError):
    """A name that nothing is registered under; the message offers the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        lower = {one.lower(): one for one in known}
        near = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
        if near:
            hint = f"did you mean {' or '.join(map(repr, near))}?"
        elif len(known) > MOST_SHOWN:
            hint = f"none of the {len(known)} known ones is like it."
        elif known:
            hint = f"choose from {', '.join(known)}."
        else:
            hint = "there are none."
        super().__init__(f"Unknown {kind} {name!r}: {hint}")


class BudgetError(FoolbenchError):
    """An attack returned images outside its threat model."""


class GradientError(FoolbenchError):
    """A gradient that is not finite, which no attack can follow."""


class WeightsError(FoolbenchError):
    """A weights or perturbation file that is missing, corrupt or does not fit."""


class OutputError(FoolbenchError):
    """Results that cannot be written or read back."""


def why(error: BaseException) -> str:
    """Return the reason of an error, for a sentence that names the file already: without error number and path."""
    if isinstance(error, UnicodeDecodeError):
        return "it is no text"
    return getattr(error, "strerror", None) or str(error)


class Interruption(BaseException):
    """Raised to leave foreign code from outside, which is no error of that code; nor is Ctrl-C."""


def foreign_errors() -> tuple[type[BaseException], ...]:
    """Return the exceptions of foreign code that are reported as its errors: all but interruptions.

    They include those that are no `Exception`, as asyncio's cancellation or a panic in Rust.
    """
    outside = KeyboardInterrupt, Interruption
    return tuple(kind for kind in BaseException.__subclasses__() if not issubclass(kind, outside))


def one_line(error: BaseException) -> str:
    """Return type and message of an error in one line, for a table cell, without control characters."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (foreign code)
        text = "(its message cannot be made)"
    name = type(error).__name__
    words = " ".join((f"{name}: {text}" if text else name).split())
    return "".join(one if one.isprintable() else "\ufffd" for one in words)  # also what UTF-8 cannot encode
