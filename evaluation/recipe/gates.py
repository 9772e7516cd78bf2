"""Gates of a recipe: bounds on its rates, so that a model's tests fail when it has become less robust."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...core.errors import ConfigError, UnknownNameError
from ...core.percent import checked_percent
from ...core.task import Metric
from .entries import Knowledge

Quantity = Literal["gfr", "drop", "clean", "robust"]
"""The rate that a bound applies to, by its column; `drop` stands for the column `clean_drop`."""


class Bound(NamedTuple):
    """One bound on a rate: at most (`max`) or at least (`min`) `limit`, in percent."""

    quantity: Quantity
    side: Literal["max", "min"]
    limit: float

    def __str__(self) -> str:
        return f"{self.quantity}_{self.side} = {self.limit:g}"


def _percent(value: float) -> float:
    return checked_percent(value, "the bound of a gate")


Percent = Annotated[float, AfterValidator(_percent)]


class Gate(BaseModel):
    """Bounds for the rows of one model, attack, defense, source model and knowledge; a key left out matches any.

    Attacks and defenses are named as in the recipe, or as in result tables where several share a name. Without a
    `metric` the gate applies to the task's main one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    model: str | None = Field(default=None, description="rows of this model; of any, here and below, if left out")
    source_model: str | None = Field(default=None, description="rows of attacks that were crafted on this model")
    attack: str | None = Field(default=None, description="rows of this attack, named as in the recipe or in a table")
    defense: str | None = Field(default=None, description="rows of this defense, named likewise")
    knowledge: Knowledge | None = Field(default=None, description="rows of attacks that know so much")
    metric: str | None = Field(default=None, description="of this metric, in percent; the task's first if left out")
    gfr_max: Percent | None = Field(default=None, description="highest generalized fooling rate, in percent")
    drop_max: Percent | None = Field(default=None, description="most points of the clean rate that a defense may cost")
    clean_min: Percent | None = Field(default=None, description="lowest clean rate, in percent")
    robust_min: Percent | None = Field(default=None, description="lowest robust rate, in percent")

    @model_validator(mode="after")
    def _bounds_something(self) -> "Gate":
        if not self.bounds:
            raise ConfigError("Expected a gate with gfr_max, drop_max, clean_min or robust_min, in percent, got none.")
        return self

    @property
    def bounds(self) -> list[Bound]:
        """The bounds that are set, in the order of the fields."""
        found: list[tuple[Quantity, Literal["max", "min"], float | None]] = [
            ("gfr", "max", self.gfr_max),
            ("drop", "max", self.drop_max),
            ("clean", "min", self.clean_min),
            ("robust", "min", self.robust_min),
        ]
        return [Bound(quantity, side, limit) for quantity, side, limit in found if limit is not None]

    @property
    def chosen(self) -> dict[str, str]:
        """The values by which the gate selects rows, by column."""
        return self.model_dump(include={"model", "source_model", "attack", "defense", "knowledge"}, exclude_none=True)

    def judges(self, metrics: Mapping[str, Metric]) -> str:
        """Return the name of the metric that the gate applies to, by default the first of a task's `metrics`.

        Raises UnknownNameError for a metric that the task lacks, and ConfigError for one that is an error instead of a
        rate in percent.
        """
        name = next(iter(metrics)) if self.metric is None else self.metric
        if name not in metrics:
            raise UnknownNameError("metric in a gate:", name, metrics)
        if metrics[name].error:
            percents = ", ".join(other for other, metric in metrics.items() if not metric.error) or "this task has none"
            raise ConfigError(
                f"Expected a gate to be about a metric in percent, as its bounds are, got the error {name!r}; set "
                f"metric to one of: {percents}."
            )
        return name

    def matches(self, facts: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
        """Return whether the gate applies to a row with these `facts` by column and these `labels` in tables."""
        return all(value in (facts[column], labels.get(column)) for column, value in self.chosen.items())


Gates = Annotated[
    list[Gate],
    Field(
        description="[tables](#keys-of-a-gate): what rates may be, in this file or in `NAME.gates.toml` beside "
        "`NAME.toml`: see [pytest](../../docs/pytest.md#gates)"
    ),
]
