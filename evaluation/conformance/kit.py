"""Run the checks: for the command line, and as pytest parameters."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.attack import Attack, UniversalAttack
from ...core.defense import Defense
from ...core.errors import ConfigError, UnknownNameError
from ...core.python_objects import load_file
from ...core.registry import attacks, configure, defenses
from .attack_checks import ATTACK_CHECKS
from .checks import BrokenPromiseError, Check, images, model, on
from .defense_checks import DEFENSE_CHECKS

BUDGETS = {"linf": 0.1, "l2": 2.0, "l1": 20.0, "l0": 60.0}

if TYPE_CHECKING:
    import pytest

Subject = Attack | UniversalAttack | Defense


def checks_of(subject: Subject) -> Sequence[Check[Any]]:
    """What is promised by the likes of it. Raises ConfigError for something else than an attack or a defense."""
    if isinstance(subject, Defense):
        return DEFENSE_CHECKS
    if isinstance(subject, Attack | UniversalAttack):
        return ATTACK_CHECKS
    raise ConfigError(f"Expected an attack or a defense, got {subject!r}.")


def find(subject: str) -> Callable[..., Any]:
    """The class of an attack or a defense by its registered name, or as FILE.py:Class.

    Raises ConfigError where there is none and where its file cannot be imported.
    """
    file, colon, cls = subject.rpartition(":")
    if colon and file.endswith(".py"):
        found = getattr(load_file(Path(file)), cls, None)
        if not isinstance(found, type):
            raise ConfigError(f"{file} has no class {cls!r}.")
        return found
    if subject in defenses:
        return defenses[subject]
    if subject in attacks or subject.partition(":")[0] in attacks.families:
        return attacks[subject]
    if subject.endswith(".py"):
        raise ConfigError(f"Expected {subject}:Class, the class as well, got the file alone.")
    raise UnknownNameError("attack or defense", subject, [*attacks, *defenses])


def named(subject: str, parameters: Mapping[str, Any]) -> Subject:
    """An instance of it. Raises ConfigError for parameters it does not take."""
    found = find(subject)
    return configure(found, subject, _budget(found) | dict(parameters))


def _budget(cls: Callable[..., Any]) -> dict[str, Any]:
    """For an attack: what it needs to be made at all."""
    norm = getattr(cls, "norms", ("",))[0]
    return {"eps": BUDGETS[norm], "norm": norm} if norm in BUDGETS else {}


def prepared(subject: Subject) -> Subject:
    """The subject itself; a defense that learns is fitted to a few images first."""
    return subject.fit(images(64), model=model()) if isinstance(subject, Defense) else subject


def check(subject: Subject, device: str = "cpu") -> dict[str, str | None]:
    """Each promise, by the name of its check, with what was seen instead; None where it is kept."""
    found = {}
    for one in checks_of(subject):
        try:
            with on(device):
                one.run(subject)
            found[str(one)] = None
        except BrokenPromiseError as broken:
            found[str(one)] = str(broken)
        except Exception as error:  # noqa: BLE001 (foreign code: whatever it raises is what was seen)
            found[str(one)] = f"It raised {error!r}."
    return found


def parametrize_with_checks(subjects: Sequence[Subject]) -> "pytest.MarkDecorator":
    """Decorates a test function of `subject` and `check`, whose body is `check.run(subject)`: a test a promise.

    Fit a defense that learns before you hand it over.
    """
    import pytest  # here, as only tests need it

    pairs = [(subject, one) for subject in subjects for one in checks_of(subject)]
    names = [f"{type(subject).__name__}-{one}" for subject, one in pairs]
    return pytest.mark.parametrize(("subject", "check"), pairs, ids=names)
