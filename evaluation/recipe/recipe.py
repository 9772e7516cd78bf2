"""A recipe: the versioned TOML file that spans a grid of models x attacks x defenses."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from ...core.attack import Attack, UniversalAttack
from ...core.complaint import Complaint, complaint
from ...core.defense import Defense
from ...core.ensemble import Ensemble
from ...core.errors import ConfigError, UnknownNameError
from ...core.norms import NORMS, Norm
from ...core.registry import attacks, defenses, models
from ...core.threat import Eps, Threat
from .promises import make_dataset

RECIPES = Path(__file__).parents[2] / "leaderboards" / "recipes"


Knowledge = Literal["oblivious", "adaptive"]
"""What an attack knew: nothing of the defense, or all of it."""


Percent = Annotated[float, Field(ge=0, le=100)]
Sampling = Literal["balanced", "random", "first"]
"""Which evaluation images are taken."""


class Named(BaseModel):
    """What a recipe names: its registered name, and its parameters beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Addressed(Named):
    """A model or a data set: a registered name or an address, and its parameters. Without any the name alone stands."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_name(cls, given: Any, handler: ModelWrapValidatorHandler["Addressed"]) -> "Addressed":
        return handler({"name": given} if isinstance(given, str) else given)

    @model_serializer(mode="plain")
    def _as_written(self) -> str | dict[str, Any]:
        return {"name": self.name, **self.parameters} if self.parameters else self.name

    @property
    def label(self) -> str:
        """What tables call it: two of one address differ in their parameters."""
        given = self.parameters.items()
        told = [f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}" for key, value in given]
        return f"{self.name} ({', '.join(told)})" if told else self.name


class NamedAttack(Named):
    """An attack of a recipe. Those of one `group` get a row together: an image counts where one of them fools it.

    `knowledge` is the recipe's where an attack does not state its own.
    """

    group: str | None = Field(default=None, pattern=r"^\S(.*\S)?$")
    knowledge: list[Knowledge] | None = Field(default=None, min_length=1)


class ThreatDefault(BaseModel):
    """The norm and budget of every attack that does not state its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    norm: Norm = "linf"
    eps: Eps

    def fill(self, attack: NamedAttack) -> dict[str, Any]:
        """The parameters of an attack. Raises ConfigError for one of another norm without a budget in that."""
        given = attack.parameters
        norm = given.get("norm", self.norm)
        if norm in NORMS and norm != self.norm and "eps" not in given:
            raise ConfigError(
                f"Expected an eps for {attack.name} in {norm}, got none: {self.eps:.6g} is the recipe's in {self.norm}."
            )
        return self.model_dump() | given


class Recipe(BaseModel):
    """What to run. See `leaderboards/recipes/README.md` for the keys, `quickstart.toml` there for an example."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(
        pattern=r"^[^./\\\x00][^/\\\x00]*$", description="the recipe's; also that of the folder under `runs/`"
    )
    version: int = Field(default=1, description="higher for every change that changes numbers")
    description: str = Field(default="", description="a sentence for `foolbench list recipes`")
    overrides: list[str] = Field(default=[], description="what `--set` has changed; it writes this down by itself")
    dataset: Addressed = Field(
        description="a name or an address of `foolbench list datasets`, or a table: `name` and its parameters; those "
        "of pictures are `train`, `train_share`, `bad_images`, `classes`"
    )
    samples: int = Field(gt=0, description="how many evaluation images; more of them include fewer")
    sampling: Sampling = Field(
        default="balanced",
        description="which: balanced, at random, the classes in turn; random, whatever their class; first, as they lie",
    )
    seed: int = Field(default=0, description="of all that is random")
    knowledge: list[Knowledge] = Field(
        default=["oblivious"],
        min_length=1,
        description="oblivious: attacks are crafted on the bare network; adaptive: through each defense",
    )
    draws: int = Field(default=10, gt=0, description="evaluations per image that score a randomized system")
    eot_draws: int = Field(
        default=10, gt=0, description="evaluations of a randomized system for each gradient of an adaptive attack"
    )
    storage: Literal["float32", "uint8"] = Field(
        default="float32",
        description="float32: adversarial images as they are; uint8: the best that an image file can hold",
    )
    expect_clean: Percent | dict[str, Percent] | None = Field(
        default=None,
        description="clean rate, in percent, that is known of the bare network, or a table of them by model: all its "
        "cells fail where it lies more than 1 point outside the 99.9% interval of what is found",
    )
    batch_size: int = Field(
        default=64,
        gt=0,
        description="images at a time; changes speed and memory only (and the random draws of `foolbox:NAME`)",
    )
    keep_images: bool = Field(
        default=True,
        description="whether the attacked images stay in `adversarial/`; without them less disk is used, and another "
        "defense, the next member of an ensemble or a run that goes on crafts again what it needs",
    )
    models: list[Addressed] = Field(
        min_length=1,
        description="names or addresses of `foolbench list models`, or tables: `name` and its parameters; those of an "
        "address are `weights`, `features`, `mean`, `std`, `classes`, `size`, `expect_clean`",
    )
    source_models: list[Addressed] = Field(
        default=[],
        description="entries as in `models`: attacks are crafted on each of them and scored on every model, a model "
        "that is its own source too (white-box); without any each model is its own",
    )
    threat: ThreatDefault = Field(description="table: `norm` and `eps` of every attack that does not state its own")
    attacks: list[NamedAttack] = Field(
        min_length=1,
        description="tables: `name`, any parameter of [the attack](../../attacks/README.md), and `group`: "
        "attacks of one group have a row together, the worst case; `knowledge`, where it is not the recipe's",
    )
    defenses: list[Named] = Field(
        default=[], description="tables: `name` and any parameter of [the defense](../../defenses/README.md)"
    )

    @property
    def label(self) -> str:
        """Name, version, and what was changed: what rows call it."""
        changed = f" ({', '.join(self.overrides)})" if self.overrides else ""
        return f"{self.name}-v{self.version}{changed}"

    @property
    def sampled(self) -> str:
        """How the evaluation images were chosen, in words."""
        return self.sampling if self.sampling == "first" else f"{self.sampling}, seed {self.seed}"

    @property
    def content(self) -> dict[str, Any]:
        """What decides the numbers, however it was written."""
        return self.model_dump(exclude={"overrides", "keep_images", "expect_clean"})

    def expected_clean(self, model: str) -> float | None:
        """Of one model, in percent, where it is known."""
        return self.expect_clean.get(model) if isinstance(self.expect_clean, dict) else self.expect_clean

    @property
    def model_labels(self) -> list[str]:
        """What rows call the models."""
        return [model.label for model in self.models]

    @property
    def source_labels(self) -> list[str]:
        """What rows call the networks that attacks are crafted on."""
        return [model.label for model in self.source_models or self.models]

    @property
    def networks(self) -> dict[str, Addressed]:
        """All that are loaded, by what rows call them: sources first."""
        return {entry.label: entry for entry in (*self.source_models, *self.models)}

    def build_attacks(self) -> list[Attack | UniversalAttack]:
        """The attacks, checked. Raises ConfigError for a name or parameter that makes no sense."""
        return [attacks.create(a.name, self.threat.fill(a)) for a in self.attacks]

    def build_defenses(self) -> list[Defense]:
        return [defenses.create(d.name, d.parameters) for d in self.defenses]


def load_recipe(source: str, overrides: list[str] | None = None) -> Recipe:
    """A recipe from a file, or by the name of a shipped one, with `KEY=VALUE` overrides (TOML values, dotted keys).

    Raises ConfigError, in one sentence, for whatever is wrong with it: the file, a key, a value, a name.
    """
    document = parse_overrides(overrides or [], _read(source))
    recipe = read_document(document, source)
    return recipe.model_copy(update={"overrides": [*recipe.overrides, *(overrides or [])]})


def read_document(document: Any, source: str) -> Recipe:
    """A checked recipe. Raises ConfigError; `source` says in it which recipe is meant."""
    try:
        recipe = Recipe.model_validate(document)
        _check_names(recipe)
    except ValidationError as error:
        raise _sentence(source, complaint(error)) from None
    except RecursionError:
        raise ConfigError(f"Recipe {source}: Expected fewer lists and tables within each other.") from None
    return recipe


def parse_overrides(overrides: list[str], document: dict[str, Any] | None = None) -> dict[str, Any]:
    """`document` with `KEY=VALUE` set in it. Raises ConfigError for what is no such thing."""
    document = {} if document is None else document
    for override in overrides:
        _override(document, override)
    return document


def shipped_recipes() -> list[str]:
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def summary(name: str) -> str:
    """What a shipped recipe says of itself. Nothing that it names is loaded."""
    return str(_read(name).get("description", ""))


def _read(source: str) -> dict[str, Any]:
    path = Path(source)
    if path.suffix != ".toml":
        path = RECIPES / f"{source}.toml"
        if not path.is_file():
            raise UnknownNameError("recipe", source, shipped_recipes())
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ConfigError(
            f"Expected a TOML recipe at {path}, got lists or tables within each other without end."
        ) from None
    except (OSError, ValueError) as error:  # no file, no UTF-8, no TOML, a null byte in the path
        raise ConfigError(f"Expected a TOML recipe at {path}, but: {error}.") from None


def _override(document: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"Expected --set KEY=VALUE, got {override!r}.")
    try:
        parsed = tomllib.loads(f"value = {text}")
        value = parsed["value"] if parsed.keys() == {"value"} else text  # a line break starts another key
    except RecursionError:
        raise ConfigError(f"Expected --set {key} with a value, got too many lists within each other.") from None
    except ValueError:  # a number of thousands of digits, too
        value = text  # a bare word is a string: --set dataset=digits
    *parents, leaf = key.strip().split(".")
    table = document
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise ConfigError(f"Expected --set with a key of the recipe, got {key!r}: {parent!r} is no table.")
    table[leaf] = value


def _sentence(source: str, found: Complaint) -> ConfigError:
    where = ".".join(map(str, found.where))
    if found.kind == "extra_forbidden":
        fields = ThreatDefault.model_fields if found.where[0] == "threat" else Recipe.model_fields
        return UnknownNameError(f"key in recipe {source}:", str(found.where[-1]), fields)
    if found.kind == "missing":
        return ConfigError(f"Recipe {source} lacks the key {where!r}.")
    return ConfigError(f"Recipe {source}, {where}: {found.sentence}")


def _check_names(recipe: Recipe) -> None:
    """Fail before any work: every name resolves, every parameter is accepted."""
    dataset = make_dataset(recipe.dataset.name, recipe.dataset.parameters)
    if recipe.samples > len(dataset):
        raise ConfigError(
            f"{recipe.dataset.label} has {len(dataset)} evaluation images, the recipe asks for {recipe.samples}."
        )
    for entry in recipe.networks.values():
        models.bind(entry.name, entry.parameters)  # raises where it makes no sense
    for attack in recipe.build_attacks():
        if isinstance(attack, Attack) and attack.targeted:
            raise ConfigError(
                f"{attack!r}: a run has no target classes; call a targeted attack itself, attack(model, x, targets)."
            )
    recipe.build_defenses()
    if isinstance(recipe.expect_clean, dict):
        for name in recipe.expect_clean.keys() - recipe.networks.keys():
            raise UnknownNameError("model in expect_clean:", name, recipe.networks)
    _check_groups(recipe)
    as_shown = [replace(attack, eps=float(f"{attack.eps:.6f}") or attack.eps) for attack in recipe.build_attacks()]
    attacks_listed = list(zip([entry.name for entry in recipe.attacks], as_shown, strict=True))
    defenses_listed = list(zip([entry.name for entry in recipe.defenses], recipe.build_defenses(), strict=True))
    for kind, entries in {
        "models": recipe.model_labels,
        "source_models": recipe.source_labels,
        "attacks": attacks_listed,
        "defenses": defenses_listed,
    }.items():
        twice = [entry for place, entry in enumerate(entries) if entry in entries[:place]]
        if twice:
            what = twice[0] if isinstance(twice[0], str) else twice[0][0]
            raise ConfigError(f"The recipe lists {what} twice, with equal parameters, among its {kind}; leave one out.")


def _check_groups(recipe: Recipe) -> None:
    """The best of several attacks says something where they had the same budget."""
    threats: dict[str, Threat] = {}
    names = {attack.name for attack in recipe.attacks}
    for entry, attack in zip(recipe.attacks, recipe.build_attacks(), strict=True):
        if entry.group is None:
            continue
        if isinstance(attack, Ensemble):
            raise ConfigError(f"{entry.name} is a group of its own: leave group = {entry.group!r} out.")
        if entry.group in names:
            raise ConfigError(f"The group {entry.group!r} has the name of an attack; choose another.")
        first = threats.setdefault(entry.group, attack.threat)
        if attack.threat != first:
            raise ConfigError(f"Expected one threat in group {entry.group!r}, got {first} and {attack.threat}.")
