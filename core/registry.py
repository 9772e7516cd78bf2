"""Registries of names, by which recipes, the command line and plugins find attacks, defenses, models and datasets."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache, partial
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from .arguments import arguments_of
from .attack import Attack
from .complaint import complaint
from .dataset import Dataset
from .defense import Defense
from .errors import ConfigError, FoolbenchError, UnknownNameError, foreign_errors, one_line
from .model import Model
from .python_objects import names_an_object
from .task import Task
from .universal_attack import UniversalAttack

NOTHING = "none"

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., Any])


@dataclass(frozen=True)
class Family(Generic[T]):
    """Names `PREFIX:NAME` whose classes `make` creates on demand: the packages they need may not be installed.

    `summaries` describes each by its full name. A family `is_open` if there are too many to list, or nobody knows them
    all: it describes them together (`timm:NAME`), and `make` raises UnknownNameError itself.
    """

    summaries: Mapping[str, str]
    make: Callable[[str], Callable[..., T]]
    is_open: bool = False


class Registry(Generic[T]):
    """Names of classes of one kind ("attack", "defense"), or of functions that make one ("model").

    A name is given once. Iteration yields the registered names; `families` are those made on demand, and `objects`
    those in the user's Python code, FILE.py:NAME or package.module:NAME. No parameter may have a `reserved` name.
    """

    def __init__(self, kind: str, reserved: Collection[str] = ()) -> None:
        self.kind, self._reserved = kind, reserved
        self.families: dict[str, Family[T]] = {}
        self.objects: Family[T] | None = None
        self._classes: dict[str, Callable[..., T]] = {}
        self._held: ContextVar[Mapping[str, Callable[..., T]]]
        self._held = ContextVar(f"{kind}s in memory", default=MappingProxyType({}))

    def register(self, name: str) -> Callable[[C], C]:
        """Register a class or function, as a decorator. Raises ConfigError for a taken name or a reserved parameter."""

        if name == NOTHING:
            raise ConfigError(f"The {self.kind} name {name!r} stands for none of them in tables; choose another.")

        def decorate(cls: C) -> C:
            self._check_parameters(name, cls)
            taken = self._classes.get(name, cls)
            if taken is not cls and not _typed_again(taken, cls):
                raise ConfigError(f"The {self.kind} name {name!r} belongs to {taken}; choose another for {cls}.")
            self._classes[name] = cls
            return cls

        return decorate

    def _check_parameters(self, name: str, made: Callable[..., Any]) -> None:
        for field in fields(made) if is_dataclass(made) else ():
            if field.name in self._reserved:
                raise ConfigError(
                    f"The {self.kind} {name} has a parameter {field.name!r}, which recipes understand otherwise; give "
                    "it another name."
                )

    @contextmanager
    def holding(self, makers: Mapping[str, Callable[..., T]]) -> Iterator[None]:
        """Context manager: names of objects in memory precede all others, for this caller only."""
        token = self._held.set({**self._held.get(), **makers})
        try:
            yield
        finally:
            self._held.reset(token)

    def name_of(self, made: object) -> str | None:
        """Return the name under which the class of `made` is found here; None if it has no name."""
        cls = type(made)
        made_on_demand = (name for family in self.families.values() for name in family.summaries)
        same = (name for name in made_on_demand if name.rpartition(":")[2] == cls.__name__ and self[name] is cls)
        return next((name for name, known in self._classes.items() if known is cls), None) or next(same, None)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __getitem__(self, name: str) -> Callable[..., T]:
        """Return the class of that name. Raises UnknownNameError, and ConfigError if its family lacks a package."""
        known = {**self._classes, **self._held.get()}
        if name in known:
            return known[name]
        family = self.families.get(name.partition(":")[0])
        if family is None and self.objects is not None and names_an_object(name):
            family = self.objects
        if family is None:
            raise UnknownNameError(self.kind, name, [*self._classes, *self._open_names])
        if not family.is_open and name not in family.summaries:
            raise UnknownNameError(self.kind, name, family.summaries)
        return family.make(name)

    @property
    def on_demand(self) -> dict[str, str]:
        """Descriptions of the names that are made on demand, by name."""
        families = [*self.families.values(), *([self.objects] if self.objects else [])]
        return {name: text for family in families for name, text in family.summaries.items()}

    @property
    def _open_names(self) -> list[str]:
        return list(self.on_demand) if any(family.is_open for family in self.families.values()) else []

    def create(self, name: str, parameters: Mapping[str, Any]) -> T:
        """Return an instance from untrusted parameters. Raises ConfigError for an unknown or ill-typed one."""
        return configure(self[name], f"{self.kind} {name}", parameters)

    def bind(self, name: str, parameters: Mapping[str, Any]) -> Callable[[], T]:
        """Check the parameters, and return a function that makes the instance, from any class or function."""
        found, what = self[name], f"{self.kind} {name}"
        if is_dataclass(found):
            made = self.create(name, parameters)
            return lambda: made
        return partial(found, **_checked_arguments(found, what, parameters))


def _typed_again(taken: Any, cls: Any) -> bool:
    """Return whether a class replaces one of the same name because a notebook's cell or a shell's input ran again."""
    return taken.__module__ == cls.__module__ == "__main__" and taken.__qualname__ == cls.__qualname__


def _checked_arguments(function: Callable[..., Any], what: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return untrusted parameters as keyword arguments, checked by annotation; those for `**` are not checked."""
    cls, names, takes_more = arguments_of(function)
    own = {key: value for key, value in parameters.items() if key in names or not takes_more}
    made = configure(cls, what, own)
    return {key: getattr(made, key, value) for key, value in parameters.items()}


def configure(cls: Callable[..., T], what: str, parameters: Mapping[str, Any]) -> T:
    """Return a frozen dataclass's instance from untrusted parameters; `what` names it in the ConfigErrors raised."""
    if not is_dataclass(cls):
        raise ConfigError(f"Expected {what} to be a frozen dataclass, got {cls!r}.")
    known = {field.name for field in fields(cls)}
    for key in parameters:
        if key not in known:
            raise UnknownNameError(f"parameter of {what}:", key, known)
    try:
        text = json.dumps(dict(parameters), default=str)  # strict, but as JSON, where a table may become a dataclass
        made = _adapter(cls).validate_json(text, strict=True)
    except ValidationError as error:
        found = complaint(error)
        where = ".".join(map(str, found.where))
        if found.kind == "missing":
            raise ConfigError(f"{what} lacks the parameter {where!r}.") from None
        raise ConfigError(f"{'.'.join([what, *([where] if where else [])])}: {found.sentence}") from None
    except RecursionError:
        raise ConfigError(f"{what}: Expected fewer lists within lists among its parameters.") from None
    except foreign_errors() as error:  # an abstract class, say, or whatever a plugin raises
        if isinstance(error, FoolbenchError):
            raise
        raise ConfigError(f"{what} cannot be made: {one_line(error)}.") from None
    for field in fields(cls):
        if not _is_plain(getattr(made, field.name)):
            raise ConfigError(
                f"{what}.{field.name}: Expected a plain value, by which tables can tell one {what} from another, "
                f"got {type(getattr(made, field.name)).__name__}."
            )
    return made


@lru_cache(maxsize=256)
def _adapter(cls: Any) -> TypeAdapter[Any]:
    """Return the validator of a class, cached: making it takes many times as long as using it."""
    return TypeAdapter(cls)


def _is_plain(value: object) -> bool:
    """Return whether a value consists of numbers and text: equal exactly if it prints alike, unlike a set."""
    if isinstance(value, Mapping):
        return all(_is_plain(part) for pair in value.items() for part in pair)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(_is_plain(getattr(value, field.name)) for field in fields(value))
    return value is None or isinstance(value, bool | int | float | str | PurePath | Enum)


BESIDE_AN_ATTACK = ("name", "group", "seeds", "knowledge", "training_images", "training_data")
"""The keys that a recipe gives an attack beside its own parameters."""

attacks: Registry[Attack | UniversalAttack] = Registry("attack", reserved=BESIDE_AN_ATTACK)
defenses: Registry[Defense] = Registry("defense", reserved=("name",))
models: Registry[Model] = Registry("model")
datasets: Registry[Dataset] = Registry("dataset")
tasks: Registry[Task] = Registry("task")
register_attack, register_defense = attacks.register, defenses.register
register_model, register_dataset, register_task = models.register, datasets.register, tasks.register
