"""The recipe: a versioned TOML file that describes a grid of models x attacks x defenses."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from ...core.attack import Attack
from ...core.complaint import short
from ...core.defense import Defense
from ...core.errors import ConfigError
from ...core.percent import checked_percent
from ...core.registry import attacks, defenses
from ...core.universal_attack import UniversalAttack
from .entries import Addressed, Knowledge, Named, NamedAttack, ThreatDefault
from .gates import Gates

Sampling = Literal["balanced", "random", "first"]
"""How the evaluation images are selected: classes in turn, at random, or the first ones."""


AUTOMATIC = 256
"""The number of images in a shard when `batch_size` is "auto"."""


def _name_of_folder(text: str) -> str:
    if not text or text.startswith(".") or any(letter in text for letter in "/\\\x00"):
        raise ConfigError(f"Expected the name of a folder, without slashes and not hidden, got {text!r}.")
    return text


def _batch_size(given: Any) -> int | Literal["auto"]:
    if given == "auto" or (isinstance(given, int) and not isinstance(given, bool) and given > 0):
        return given
    raise ConfigError(f'Expected a whole number above 0 or "auto", got {short(given)}.')


def _expected(given: Any) -> float | dict[str, float] | None:
    """Check `expect_clean`: a rate in percent, or one for each model."""
    if isinstance(given, dict):
        return {name: checked_percent(rate, f"expect_clean of {name}") for name, rate in given.items()}
    return None if given is None else checked_percent(given, "expect_clean")


class Recipe(BaseModel):
    """A recipe: the data, models, attacks, defenses and settings of a run.

    `leaderboards/recipes/README.md` describes the keys, and `quickstart.toml` beside it is an example.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, AfterValidator(_name_of_folder)] = Field(
        description="the recipe's; also that of the folder under `runs/`"
    )
    version: int = Field(default=1, description="higher for every change that changes numbers")
    description: str = Field(default="", description="a sentence for `foolbench list recipes`")
    minutes: float | None = Field(
        default=None,
        gt=0,
        description="that a run of it has taken, about, on one core of an AMD EPYC: for `foolbench list recipes`",
    )
    overrides: list[str] = Field(default=[], description="what `--set` has changed; it writes this down by itself")
    dataset: Addressed = Field(
        description="a name or an address of `foolbench list datasets`, or a table: `name` and its parameters; those "
        "of pictures are `train`, `train_share`, `bad_images`, `classes`"
    )
    task: dict[str, Any] = Field(
        default={},
        description="table: how the predictions are scored, for depth `min_depth`, `max_depth` and `crop` (none, garg, "
        "eigen), for segmentation `absent_as_zero`; attacks ascend the loss of what is scored",
    )
    samples: int = Field(gt=0, description="how many evaluation images; more of them include fewer")
    sampling: Sampling = Field(
        default="balanced",
        description="which: balanced, at random, the classes in turn; random, whatever their class; first, as they lie",
    )
    seed: int = Field(default=0, ge=0, description="of all that is random")
    knowledge: list[Knowledge] = Field(
        default=["oblivious"],
        min_length=1,
        description="oblivious: attacks are crafted on the bare network; adaptive: through each defense; crossed: what "
        "is crafted through a defense is scored on the bare network and through every other defense",
    )
    draws: int = Field(default=10, gt=0, description="evaluations per image that score a randomized system")
    eot_draws: int = Field(
        default=10, gt=0, description="evaluations of a randomized system for each gradient of an adaptive attack"
    )
    storage: Literal["float32", "uint8"] = Field(
        default="float32",
        description="float32: adversarial images as they are; uint8: the best that an image file can hold",
    )
    expect_clean: Annotated[float | dict[str, float] | None, PlainValidator(_expected)] = Field(
        default=None,
        description="clean rate, in percent, that is known of the bare network, or a table of them by model: all its "
        "cells fail where it lies more than 1 point outside the 99.9% interval of what is found",
    )
    layers: list[str] = Field(
        default=[],
        description="layers of the networks by name, `features` standing for those that a network calls so: how far "
        "each moves is measured as well, see [numbers](../../docs/numbers.md#how-far-layers-move)",
    )
    batch_size: Annotated[int | Literal["auto"], PlainValidator(_batch_size)] = Field(
        default=64,
        description="images at a time, fewer where memory runs out; `auto` begins with 256 on a GPU; changes speed and "
        "memory only (and the random draws of `foolbox:NAME`)",
    )
    keep_images: bool = Field(
        default=True,
        description="whether the attacked images are kept; without them less disk is used, and another "
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
    threat: ThreatDefault = Field(
        description="[table](#keys-of-threat): norm and budget of every attack that states none"
    )
    attacks: list[NamedAttack] = Field(
        min_length=1,
        description="[tables](#keys-of-an-attack): `name`, any parameter of [the attack](../../attacks/README.md), and "
        "`eps` and `norm` where they are not those of `threat`",
    )
    defenses: list[Named] = Field(
        default=[], description="tables: `name` and any parameter of [the defense](../../defenses/README.md)"
    )
    gates: Gates = []

    @property
    def label(self) -> str:
        """The recipe's name in result rows: name, version, and the overrides if there are any."""
        changed = f" ({', '.join(self.overrides)})" if self.overrides else ""
        return f"{self.name}-v{self.version}{changed}"

    @property
    def sampled(self) -> str:
        """How the evaluation images are selected, in words, with the seed where it plays a part."""
        return self.sampling if self.sampling == "first" else f"{self.sampling}, seed {self.seed}"

    @property
    def content(self) -> dict[str, Any]:
        """The keys that decide the numbers, as a dict that does not depend on how the file was written."""
        return self.model_dump(exclude={"description", "minutes", "overrides", "keep_images", "expect_clean", "gates"})

    @property
    def shard(self) -> int:
        """The number of images in a shard, the unit in which images are crafted, stored and recorded."""
        return AUTOMATIC if self.batch_size == "auto" else self.batch_size

    def expected_clean(self, model: str) -> float | None:
        """Return the expected clean rate of one model, in percent, or None if the recipe states none."""
        return self.expect_clean.get(model) if isinstance(self.expect_clean, dict) else self.expect_clean

    @property
    def model_labels(self) -> list[str]:
        """The names of the models in result rows."""
        return [model.label for model in self.models]

    @property
    def source_labels(self) -> list[str]:
        """The names, in result rows, of the models that attacks are crafted on."""
        return [model.label for model in self.source_models or self.models]

    @property
    def networks(self) -> dict[str, Addressed]:
        """The entries of all models of the run, source models first, by their names in result rows."""
        return {entry.label: entry for entry in (*self.source_models, *self.models)}

    def build_attacks(self) -> list[Attack | UniversalAttack]:
        """Return the attacks of the recipe. Raises ConfigError for an unknown name or an invalid parameter."""
        return [attacks.create(a.name, self.threat.fill(a)) for a in self.attacks]

    def build_defenses(self) -> list[Defense]:
        return [defenses.create(d.name, d.parameters) for d in self.defenses]
