"""Run the checks: for the command line, and as pytest parameters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.attack import Attack, UniversalAttack
from ...core.defense import Defense
from ...core.errors import FOREIGN, one_line
from ...core.repeatable import repeatable
from ..grid.lessons import learning_parts
from .attack_checks import ATTACK_CHECKS
from .checks import BrokenPromiseError, Check, on
from .dataset_checks import DATASET_CHECKS
from .defense_checks import DEFENSE_CHECKS
from .learning_checks import LEARNING_CHECKS
from .model_checks import MODEL_CHECKS
from .subjects import Subject, find, in_file, it_is_registered, kind_of, made, prepared

NOT_CHECKED = "not checked: "
"""How the sentence of a check begins that says nothing about its promise."""

CHECKS: Mapping[str, Sequence[Check[Any]]] = {
    "attacks": ATTACK_CHECKS,
    "defenses": DEFENSE_CHECKS,
    "models": MODEL_CHECKS,
    "datasets": DATASET_CHECKS,
}

if TYPE_CHECKING:
    import pytest


def checks_of(subject: Subject) -> Sequence[Check[Any]]:
    """What is promised by the likes of it. Raises ConfigError for something else."""
    return CHECKS[kind_of(subject)]


def check(subject: Subject, device: str = "cpu") -> dict[str, str | None]:
    """Each promise, by the name of its check, with what was seen instead; None where it is kept.

    A defense that learns is checked on that, too, and then with what it learns from a few images.
    """
    found: dict[str, str | None] = {}
    checks = checks_of(subject)
    with on(device), repeatable(device):
        if isinstance(subject, Defense) and learning_parts(subject):
            _run(LEARNING_CHECKS, subject, found)
            if found["it_learns"] is None:
                subject = prepared(subject)
        _run(checks, subject, found)
    return found


def check_named(subject: str, parameters: Mapping[str, Any], device: str = "cpu") -> dict[str, str | None]:
    """The same for NAME or FILE.py:NAME. Raises ConfigError where there is none, or for parameters it does not take."""
    found, seen = find(subject), {}
    instance = made(found, subject, parameters)
    if in_file(subject) and isinstance(instance, Attack | UniversalAttack | Defense):
        _run([Check(it_is_registered)], type(instance), seen)
    return seen | check(instance, device)


def _run(checks: Sequence[Check[Any]], subject: Any, found: dict[str, str | None]) -> None:
    """Each check on the subject, into `found`. What several raise alike is said once."""
    for one in checks:
        lacking = next((name for name in one.needs if found.get(name)), None)
        seen = f"{NOT_CHECKED}see {_words(lacking)}." if lacking else _seen(one, subject)
        same = next((name for name, before in found.items() if seen and seen == before and not lacking), None)
        found[str(one)] = f"{NOT_CHECKED}it raised the same as under {_words(same)}." if same else seen


def _seen(one: Check[Any], subject: Any) -> str | None:
    try:
        one.run(subject)
    except BrokenPromiseError as broken:
        return str(broken)
    except FOREIGN as error:  # whatever it raises is what was seen
        return f"It raised {one_line(error)}"
    return None


def _words(name: str) -> str:
    return f'"{name.replace("_", " ")}"'


def parametrize_with_checks(subjects: Sequence[Subject]) -> "pytest.MarkDecorator":
    """Decorates a test function of `subject` and `check`, whose body is `check.run(subject)`: a test a promise.

    Fit a defense that learns before you hand it over.
    """
    import pytest  # here, as only tests need it

    pairs = [(subject, one) for subject in subjects for one in checks_of(subject)]
    names = [f"{type(subject).__name__}-{one}" for subject, one in pairs]
    return pytest.mark.parametrize(("subject", "check"), pairs, ids=names)
