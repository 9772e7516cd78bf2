"""Find the subject of a check or description by its registered name or in a file, and make an instance of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...core.arguments import parameters_of
from ...core.attack import Attack
from ...core.dataset import Dataset
from ...core.defense import Defense
from ...core.errors import ConfigError, UnknownNameError
from ...core.foreign import foreign
from ...core.model import Model
from ...core.python_objects import find_object, load_file, names_an_object
from ...core.registry import Registry, attacks, configure, datasets, defenses, models
from ...core.universal_attack import UniversalAttack
from ...datasets import load_dataset
from ...models import load_model
from ..recipe.plugins import REGISTRIES
from .checks import BrokenPromiseError, images, model

BUDGETS = {"linf": 0.1, "l2": 2.0, "l1": 20.0, "l0": 60.0}
Subject = Attack | UniversalAttack | Defense | Model | Dataset


def find(subject: str) -> Any:
    """Return the class, function or object with this registered name or address, or at FILE.py:NAME.

    Raises ConfigError if there is none, or if its file cannot be imported.
    """
    file, _, name = subject.rpartition(":")
    if in_file(subject):
        found = getattr(load_file(Path(file)), name, None)
        if not callable(found) and not is_dataset(found) and not hasattr(found, "__getitem__"):
            raise ConfigError(f"{file} has no class, function, model or data set {name!r}.")
        return found
    if subject.endswith(".py"):
        raise ConfigError(f"Expected {subject}:NAME, the name in it as well, got the file alone.")
    registry = _registry_of(subject)
    if registry is not None:
        return registry[subject]
    if names_an_object(subject):
        return find_object(subject)
    known = [name for registry in REGISTRIES.values() for name in [*registry, *registry.on_demand]]
    raise UnknownNameError("attack, defense, model or data set", subject, known)


def named(subject: str, parameters: Mapping[str, Any]) -> Subject:
    """Return an instance of the subject NAME or FILE.py:NAME.

    Raises ConfigError if there is none, or for parameters that it does not accept.
    """
    return made(find(subject), subject, parameters)


def made(found: Any, what: str, parameters: Mapping[str, Any]) -> Subject:
    """Return an instance of what `find` returned for the name `what`.

    Raises ConfigError for parameters that it does not accept, and for another kind of object.
    """
    if isinstance(found, type) and issubclass(found, Attack | UniversalAttack | Defense):
        return configure(found, what, _budget(found) | dict(parameters))
    registry = None if in_file(what) else _registry_of(what)
    if registry is models or _is_network(found):
        return load_model(what, **parameters)
    if registry is datasets or (hasattr(found, "__getitem__") and not is_dataset(found)):
        return load_dataset(what, **parameters)
    return _given_by(found, what, parameters)


def _given_by(found: Any, what: str, parameters: Mapping[str, Any]) -> Subject:
    """Return a data set object as it is, or the result of calling a function or class."""
    own = {parameter.name for parameter in parameters_of(found)} if callable(found) else set()
    with foreign(what):
        thing: Any = found(**{key: parameters[key] for key in own & set(parameters)}) if callable(found) else found
    if _is_network(thing):
        return load_model(what, **parameters)
    if hasattr(thing, "__getitem__") and not is_dataset(thing):
        return load_dataset(what, **parameters)
    if not isinstance(thing, Attack | UniversalAttack | Defense) and not is_dataset(thing):
        raise ConfigError(f"Expected {what} to be an attack, a defense, a model or a data set, got {thing!r}.")
    if foreign_to_it := sorted(set(parameters) - own):
        raise UnknownNameError(f"parameter of {what}:", foreign_to_it[0], own)
    return thing


def _registry_of(subject: str) -> Registry[Any] | None:
    """Return the registry that knows the name; if none knows it, the first with its prefix, such as `imagenet:`."""
    prefix = subject.partition(":")[0]
    holders = [one for one in (defenses, models, datasets, attacks) if subject in one or prefix in one.families]
    return next((one for one in holders if _knows(one, subject)), next(iter(holders), None))


def _knows(registry: Registry[Any], subject: str) -> bool:
    try:
        registry[subject]
    except UnknownNameError:
        return False
    except ConfigError:  # such as a missing package, which is reported when it is needed
        return True
    return True


def _is_network(thing: object) -> bool:
    kinds = nn.Module | Model
    return issubclass(thing, kinds) if isinstance(thing, type) else isinstance(thing, kinds)


def in_file(subject: str) -> bool:
    """Return whether a subject has the form FILE.py:NAME."""
    return subject.rpartition(":")[0].endswith(".py")


def is_dataset(thing: object) -> bool:
    """Return whether an object is a data set: it has a method `load`, and is no network, which may have one, too.

    A data set need not inherit from anything.
    """
    return callable(getattr(thing, "load", None)) and not _is_network(thing)


def it_is_registered(found: type) -> None:
    """The class of an attack or a defense is registered, so that recipes can name it."""
    registry, decorator = (defenses, "register_defense") if issubclass(found, Defense) else (attacks, "register_attack")
    if not any(registry[name] is found for name in registry):
        raise BrokenPromiseError(f'No recipe can name it: put @{decorator}("a-name") before the class.')


def kind_of(subject: Subject) -> str:
    """Return the name of the registry that a subject belongs to. Raises ConfigError for another kind of object."""
    if isinstance(subject, Defense):
        return "defenses"
    if isinstance(subject, Attack | UniversalAttack):
        return "attacks"
    if isinstance(subject, Model):
        return "models"
    if is_dataset(subject):
        return "datasets"
    raise ConfigError(f"Expected an attack, a defense, a model or a data set, got {subject!r}.")


def prepared(subject: Subject) -> Subject:
    """Return the subject, a defense that learns fitted to a few images."""
    if not isinstance(subject, Defense):
        return subject
    network, x = model(), images(64)
    return subject.fit(x, network.predict(x), model=network)


def _budget(cls: Any) -> dict[str, Any]:
    """Return a default norm and eps for an attack, which has none of its own; {} for other classes."""
    norm = getattr(cls, "norms", ("",))[0]
    return {"eps": BUDGETS[norm], "norm": norm} if norm in BUDGETS else {}
