"""The entries of a recipe: models, data sets, attacks and defenses with their parameters, and the default threat."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler  # not in pydantic itself before 2.10

from ...core.errors import ConfigError
from ...core.norms import NORMS, Norm
from ...core.threat import Eps

Knowledge = Literal["oblivious", "adaptive", "crossed"]
"""The attacker's knowledge: nothing of the defense (oblivious), all of it (adaptive), or all of another (crossed)."""


class Named(BaseModel):
    """A recipe entry: a registered name, with the parameters as further keys beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Addressed(Named):
    """A model or data set entry: a registered name or an address, alone as text or in a table with parameters."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_name(cls, given: Any, handler: ModelWrapValidatorHandler["Addressed"]) -> "Addressed":
        return handler({"name": given} if isinstance(given, str) else given)

    @model_serializer(mode="plain")
    def _as_written(self) -> str | dict[str, Any]:
        return {"name": self.name, **self.parameters} if self.parameters else self.name

    @property
    def label(self) -> str:
        """The name in result tables; it includes the parameters, by which two entries of one address differ."""
        given = self.parameters.items()
        told = [f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}" for key, value in given]
        return f"{self.name} ({', '.join(told)})" if told else self.name


def _unpadded(text: str) -> str:
    if not text or text != text.strip():
        raise ConfigError(f"Expected the name of a group, without blanks around it, got {text!r}.")
    return text


class Training(BaseModel):
    """The training images from which a universal attack with a data prior draws; None stands for the default.

    `images` is how many of the first training images are used, all if there are fewer. `data` is a data set that
    replaces the network's own.
    """

    model_config = ConfigDict(frozen=True)

    images: int | None = None
    data: Addressed | None = None

    @property
    def told(self) -> dict[str, Any]:
        """The values that are not the default, by their keys in a recipe; empty if both are."""
        given = {"training_images": self.images, "training_data": None if self.data is None else self.data.label}
        return {key: value for key, value in given.items() if value is not None}


class NamedAttack(Named):
    """An attack entry of a recipe: its name, its parameters, and the keys that say how a run uses it."""

    group: Annotated[str, AfterValidator(_unpadded)] | None = Field(
        default=None,
        description="attacks of one group have a row together, the worst case: an image counts where one of them fools",
    )
    seeds: int = Field(
        default=1,
        ge=1,
        strict=True,
        description="how often it is crafted, each time with other random draws: a row each, and one for their mean",
    )
    knowledge: list[Knowledge] | None = Field(
        default=None, min_length=1, description="what it knows, where that is not the recipe's `knowledge`"
    )
    training_images: int | None = Field(
        default=None, ge=1, strict=True, description="how many a universal attack with a data prior draws from, not 512"
    )
    training_data: Addressed | None = Field(
        default=None,
        description="an entry as `dataset`, whose training images it draws from in the place of the network's own",
    )

    @property
    def training(self) -> Training:
        return Training(images=self.training_images, data=self.training_data)


class ThreatDefault(BaseModel):
    """The default threat of a recipe: the norm and budget of every attack that does not state its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    norm: Norm = Field(default="linf", description="linf, l2, l1 or l0: what the budget bounds")
    eps: Eps = Field(description='the budget, for pixels in 0..1: a number or, as text, a fraction such as `"8/255"`')

    def fill(self, attack: NamedAttack) -> dict[str, Any]:
        """Return an attack's parameters, with this norm and budget where it states none.

        Raises ConfigError for an attack that sets another norm but no eps: this eps has no meaning in that norm.
        """
        given = attack.parameters
        norm = given.get("norm", self.norm)
        if norm in NORMS and norm != self.norm and "eps" not in given:
            raise ConfigError(
                f"Expected an eps for {attack.name} in {norm}, got none: {self.eps:.6g} is the recipe's in {self.norm}."
            )
        return self.model_dump() | given
