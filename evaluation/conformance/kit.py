"""Run the conformance checks from the command line, from Python, or as pytest parameters."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...core.attack import Attack
from ...core.defense import Defense
from ...core.errors import foreign_errors, one_line
from ...core.repeatable import repeatable
from ...core.universal_attack import UniversalAttack
from ..grid.lessons import learning_parts
from .attack_checks import ATTACK_CHECKS
from .checks import BrokenPromiseError, Check, on
from .dataset_checks import DATASET_CHECKS
from .defense_checks import DEFENSE_CHECKS
from .learning_checks import LEARNING_CHECKS
from .model_checks import MODEL_CHECKS
from .subjects import Subject, find, in_file, it_is_registered, kind_of, made, prepared

NOT_CHECKED = "not checked: "
"""The prefix of the result of a check that could not be carried out."""

CHECKS: Mapping[str, Sequence[Check[Any]]] = {
    "attacks": ATTACK_CHECKS,
    "defenses": DEFENSE_CHECKS,
    "models": MODEL_CHECKS,
    "datasets": DATASET_CHECKS,
}

if TYPE_CHECKING:
    import pytest


def checks_of(subject: Subject) -> Sequence[Check[Any]]:
    """Return the checks of a subject's kind. Raises ConfigError if it is no attack, defense, model or data set."""
    return CHECKS[kind_of(subject)]


def check(subject: Subject, device: str = "cpu") -> dict[str, str | None]:
    """Run all checks on a subject, and return by name of the check None, or what was seen if the promise is broken.

    A defense that learns is checked for that, too, and then fitted to a few images for the other checks. Raises
    ConfigError if the subject is no attack, defense, model or data set.
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
    """Run all checks, as `check` does, on the subject NAME or FILE.py:NAME.

    Raises ConfigError if there is none, or for parameters that it does not accept.
    """
    found, seen = find(subject), {}
    instance = made(found, subject, parameters)
    if in_file(subject) and isinstance(instance, Attack | UniversalAttack | Defense):
        _run([Check(it_is_registered)], type(instance), seen)
    return seen | check(instance, device)


def _run(checks: Sequence[Check[Any]], subject: Any, found: dict[str, str | None]) -> None:
    """Run each check on the subject, and add the results to `found`; an error that checks share is reported once."""
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
    except foreign_errors() as error:  # any error of the subject's own code
        return f"It raised {one_line(error)}"
    return None


def _words(name: str) -> str:
    return f'"{name.replace("_", " ")}"'


def parametrize_with_checks(subjects: Sequence[Subject]) -> "pytest.MarkDecorator":
    """Return a decorator that parametrizes a test function of `subject` and `check` with each check of each subject.

    The body of the test is `check.run(subject)`. A defense that learns must be fitted before. Raises ConfigError for a
    subject that is no attack, defense, model or data set.
    """
    import pytest  # here, since only tests need it

    pairs = [(subject, one) for subject in subjects for one in checks_of(subject)]
    names = [f"{type(subject).__name__}-{one}" for subject, one in pairs]
    return pytest.mark.parametrize(("subject", "check"), pairs, ids=names)
