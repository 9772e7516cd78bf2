"""The columns of leaderboard.csv in their order, each with its meaning."""

from collections.abc import Mapping

from .abstaining import RATES

COLUMNS: Mapping[str, str] = {
    "recipe": "name and version of the recipe, and what `--set` changed",
    "run": "a hash: the same for the same recipe, overrides included, on the same data and models",
    "task": "what the model's outputs mean",
    "dataset": "where the evaluation images come from",
    "n": "how many of them",
    "clusters": "in how many groups whose images depend on each other; empty where each image stands alone",
    "sampling": "how they were chosen",
    "model": "the network",
    "model_sha": "hash of its architecture, weights and normalisation",
    "behaviour": "hash of what it answers to fixed images, to two digits: the same weights, told apart by what they do",
    "attack": "the attack; of the worst case over several, their group",
    "attack_params": "its parameters, as JSON",
    "seed": "which of several seeds it was crafted with, from 0 on, or mean, which is over them; else empty",
    "access": "what it needs of a model: none, decision, score, features or gradient",
    "source_model": "the network on which it is crafted; where that is not `model`, it is a transfer attack",
    "knowledge": "what it is crafted through: oblivious, the bare network; adaptive, the defense as well; crossed, "
    "another defense",
    "source_defense": "which other one; else empty",
    "source_defense_params": "its parameters, as JSON",
    "norm": "of the budget: linf, l2, l1 or l0",
    "eps": "the budget, for pixels in 0..1",
    "defense": 'the defense; "none" is the bare network',
    "defense_params": "its parameters, as JSON",
    "metric": "what the rates are rates of",
    "unit": "what `clean`, `robust` and `clean_drop` are in: percent of the best, or error, the metric's own, of which "
    "less is better",
    "clean": "the metric of the system against the truth on clean images, in its `unit`",
    "clean_low": "lower end of its 95% interval",
    "clean_high": "upper end",
    "clean_drop": "how much worse `clean` is than that of the bare network, in its `unit`",
    "clean_drop_rel": "the same in percent of what the bare network has",
    "gfr": "generalized fooling rate, in percent: attacked against clean predictions of the same system; of an error, "
    "its share of the largest there can be; a rejection is no fooling",
    "gfr_low": "lower end of its 95% interval",
    "gfr_high": "upper end",
    "gfr_area": "mean of `gfr` over budgets up to `eps`, the area under its curve; of minimal attacks that have it",
    "gfr_area_queries": "mean of `gfr` over queries up to the attack's; of black-box attacks that count them",
    "gfr_seeds_sd": "standard deviation of `gfr` over the seeds, in points; in rows of a mean",
    "gfr_gap": "points that knowing the defense is worth: adaptive minus oblivious; in adaptive rows",
    "gfr_over_pgd10": "points that a group of attacks fools beyond plain PGD of ten steps on this system; in its rows",
    "floor": "the rate at which the system disagrees with itself on clean images, in percent",
    "robust": "the metric of the defended system, of each image the worse of clean and attacked, in its `unit`; "
    "an attacked image may be rejected where the clean one was not",
    "robust_low": "lower end of its 95% interval",
    "robust_high": "upper end",
    **{
        f"{rate}{end}": told
        for rate, says in RATES.items()
        for end, told in (("", says), ("_low", "lower end of its 95% interval"), ("_high", "upper end"))
    },
    "layer_shift": "how far the last of the recipe's `layers` moves, as a share of its norm on the clean image; a mean",
    "linf_max": "largest change of a value of a pixel in any image, as measured",
    "l2_mean": "mean L2 norm of the changes, as measured",
    "rounding_undone": "percent of images that fooled the system they were crafted on until `storage` rounded them",
    "forwards_mean": "images sent through the network to craft, for each image attacked",
    "backwards_mean": "gradients taken to craft, for each image attacked",
    "seconds": "time to craft, all images together",
    "flagged": "reasons not to believe the row, with spaces between",
    "status": "ok, error, or pending where a run was broken off",
    "error": "what went wrong",
    "cell": "what its scores are called in `ledger.sqlite`; of a worst case, those of its members",
    "crafted": "what it is from: a file below `perturbations/`, or what the attacked images are called, a folder below "
    "`adversarial/` where a run keeps them itself, as with `--no-cache`",
}

TEXTS = (
    *("recipe", "run", "task", "dataset", "sampling", "model", "model_sha", "behaviour", "attack", "attack_params"),
    *("seed", "access", "source_model", "knowledge", "source_defense", "source_defense_params", "norm", "defense"),
    *("defense_params", "metric", "unit", "flagged", "status", "error", "cell", "crafted"),
)
"""The columns that hold text; all others hold numbers."""
