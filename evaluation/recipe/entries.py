"""What a recipe is made of: names with parameters beside them, and the threat that attacks share."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_serializer, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler  # not in pydantic itself before 2.10

from ...core.errors import ConfigError
from ...core.norms import NORMS, Norm
from ...core.threat import Eps

Knowledge = Literal["oblivious", "adaptive", "crossed"]
"""What an attack knew: nothing of the defense, all of it, or all of another one."""


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


def _unpadded(text: str) -> str:
    if not text or text != text.strip():
        raise ConfigError(f"Expected the name of a group, without blanks around it, got {text!r}.")
    return text


class Training(BaseModel):
    """From which training images a universal attack with a data prior draws; None of both is what is usual.

    `images`: the first so many, all where there are fewer. `data`: those of other data than the network's own.
    """

    model_config = ConfigDict(frozen=True)

    images: int | None = None
    data: Addressed | None = None

    @property
    def told(self) -> dict[str, Any]:
        """By the keys of a recipe, as far as it is not usual: empty where it is."""
        given = {"training_images": self.images, "training_data": None if self.data is None else self.data.label}
        return {key: value for key, value in given.items() if value is not None}


class NamedAttack(Named):
    """An attack of a recipe. Those of one `group` get a row together: an image counts where one of them fools it.

    `knowledge` is the recipe's where an attack does not state its own. With several `seeds` it is crafted so often,
    with other random draws each time; there is a row for each and one for their mean. `training_images` and
    `training_data` say from what a universal attack with a data prior draws, where that is not the usual.
    """

    group: Annotated[str, AfterValidator(_unpadded)] | None = None
    seeds: int = Field(default=1, ge=1, strict=True)
    knowledge: list[Knowledge] | None = Field(default=None, min_length=1)
    training_images: int | None = Field(default=None, ge=1, strict=True)
    training_data: Addressed | None = None

    @property
    def training(self) -> Training:
        return Training(images=self.training_images, data=self.training_data)


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
