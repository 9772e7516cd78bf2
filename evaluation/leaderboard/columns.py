"""The columns of leaderboard.csv in their order: what each says, and which of them identify a row."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from .abstaining import RATES as ABSTAINING

Kind = Literal["text", "count", "size", "number", "percent", "points", "metric", "change"]
"""What a column holds: "percent" is a rate in 0..100, "points" a difference of such rates, "metric" a value in the
`unit` of its row, and "change" a difference of such values; a "size" is not negative."""


class Column(NamedTuple):
    """A column: its meaning, and the kind of its values."""

    says: str
    kind: Kind = "text"


def _with_interval(name: str, says: str, kind: Kind) -> Iterator[tuple[str, Column]]:
    yield name, Column(says, kind)
    yield f"{name}_low", Column("lower end of its 95% interval", kind)
    yield f"{name}_high", Column("upper end", kind)


COLUMNS: Mapping[str, Column] = {
    "recipe": Column("name and version of the recipe, and what `--set` changed"),
    "run": Column("a hash, equal for equal recipes (overrides included) on the same data and models"),
    "task": Column("the task of the model: what its outputs mean"),
    "dataset": Column("the source of the evaluation images"),
    "n": Column("number of evaluation images", "count"),
    "clusters": Column(
        "number of groups of images that depend on each other; empty if images are independent", "count"
    ),
    "sampling": Column("how the images were chosen"),
    "model": Column("the network"),
    "model_sha": Column("hash of its architecture, weights and normalisation"),
    "behaviour": Column(
        "hash of its outputs for fixed images, to two digits: it tells apart networks of equal weights that compute "
        "different things"
    ),
    "attack": Column("the attack; for the worst case over several attacks, their group"),
    "attack_params": Column("its parameters, as JSON"),
    "seed": Column("number of the seed, from 0 on, if it is crafted with several; `mean` for the mean over them"),
    "access": Column("what it needs of a model: none, decision, score, features or gradient"),
    "source_model": Column("the network on which it is crafted; where that is not `model`, it is a transfer attack"),
    "knowledge": Column(
        "what it is crafted through: oblivious, the bare network; adaptive, the defense as well; crossed, another "
        "defense"
    ),
    "source_defense": Column("that other defense; empty if there is none"),
    "source_defense_params": Column("its parameters, as JSON"),
    "norm": Column("norm of the budget: linf, l2, l1 or l0"),
    "eps": Column("the budget, for pixels in 0..1", "size"),
    "defense": Column('the defense; "none" for the bare network'),
    "defense_params": Column("its parameters, as JSON"),
    "metric": Column("the metric of the task that the rates are of"),
    "unit": Column(
        "unit of `clean`, `robust` and `clean_drop`: percent of the best possible value, or error, the metric's own "
        "unit, in which less is better"
    ),
    **dict(_with_interval("clean", "the metric of the system on clean images, in its `unit`", "metric")),
    "clean_drop": Column("how much worse `clean` is than that of the bare network, in its `unit`", "change"),
    "clean_drop_rel": Column("the same in percent of the bare network's `clean`", "points"),
    **dict(
        _with_interval(
            "gfr",
            "generalized fooling rate, in percent: how often attacked and clean predictions of the same system differ; "
            "for an error, how much of the largest possible one the attack adds; a rejected image is not fooled",
            "percent",
        )
    ),
    "gfr_area": Column(
        "mean of `gfr` over budgets up to `eps`, the area under its curve; of minimal attacks that have one", "percent"
    ),
    "gfr_area_queries": Column(
        "mean of `gfr` over queries up to the attack's limit; of black-box attacks that count them", "percent"
    ),
    "gfr_seeds_sd": Column("standard deviation of `gfr` over the seeds, in points; in rows of a mean", "points"),
    "gfr_gap": Column(
        "points of `gfr` gained by knowing the defense: adaptive minus oblivious; in adaptive rows", "points"
    ),
    "gfr_over_pgd10": Column(
        "points of `gfr` that a group of attacks adds to plain PGD of ten steps on this system; in its rows", "points"
    ),
    "floor": Column(
        "how often the system disagrees with itself on clean images, in percent: 0 unless it is randomized", "percent"
    ),
    **dict(
        _with_interval(
            "robust",
            "the metric of the defended system, for each image the worse of clean and attacked, in its `unit`; "
            "rejecting an attacked image counts as right where the clean one was not rejected",
            "metric",
        )
    ),
    **dict(
        _with_interval(
            "attacked",
            "the metric of the defended system on attacked images alone, in its `unit`: what an attack happens to put "
            "right counts for the system; in a worst case under the attack that fools it most",
            "metric",
        )
    ),
    **dict(
        _with_interval(
            "at_target",
            "of an attack with targets (`targeted`, `aim`): the metric of the system's answers against these, in its "
            "`unit`; for top-1 the targeted success rate; empty in worst cases",
            "metric",
        )
    ),
    **{name: column for rate, says in ABSTAINING.items() for name, column in _with_interval(rate, says, "percent")},
    "successes": Column(
        "number of images that the bare network has right and, attacked, wrong, if it was attacked itself; in a mean "
        "over seeds those of all seeds, in a worst case those where any attack succeeded",
        "count",
    ),
    **dict(
        _with_interval(
            "recovered",
            "percent of these images, the successful adversarial ones, that the defended system has right; in a worst "
            "case under each attack that succeeded",
            "percent",
        )
    ),
    "layer_shift": Column(
        "how far the activations of the last of the recipe's `layers` move, relative to their norm on the clean image; "
        "a mean over images",
        "number",
    ),
    "linf_max": Column("largest change of a pixel value in any image, as measured", "number"),
    "l2_mean": Column("mean L2 norm of the changes, as measured", "number"),
    "rounding_undone": Column(
        "percent of the images that fooled the system they were crafted on until `storage` rounded them", "percent"
    ),
    "forwards_mean": Column("forward passes to craft, for each attacked image", "number"),
    "backwards_mean": Column("backward passes to craft, for each attacked image", "number"),
    "seconds": Column("time to craft all images", "number"),
    "flagged": Column("reasons not to trust the row, separated by spaces"),
    "status": Column("ok, error, or pending if the run was interrupted before it"),
    "error": Column("what went wrong"),
    "cell": Column("the name of its scores in `ledger.sqlite`; of a worst case, those of its members"),
    "crafted": Column(
        "what it was made with: a file below `perturbations/`, or the name of the attacked images, a folder below "
        "`adversarial/` if the run keeps them itself, as with `--no-cache`"
    ),
}

TEXTS = tuple(name for name, column in COLUMNS.items() if column.kind == "text")
"""The columns that hold text; all others hold numbers."""
RATES = tuple(name for name in COLUMNS if f"{name}_low" in COLUMNS)
"""The columns that have an interval, NAME_low to NAME_high."""
ATTACK = (
    *("attack", "attack_params", "seed", "source_model", "knowledge", "source_defense", "source_defense_params"),
    *("norm", "eps"),
)
"""The columns that identify an attack and its perturbations."""
DEFENSE = ("defense", "defense_params")
CELL = ("model", *ATTACK, *DEFENSE)
"""The columns that identify a row of a run, together with its metric."""
DATA = ("task", "dataset", "n", "clusters", "sampling")
"""The columns that say what a row was measured on."""
