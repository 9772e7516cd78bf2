"""Flags for rows whose numbers should not be trusted, as the leaderboard shows them in `flagged`.

They look for the signs of masked gradients of Carlini et al. 2019, https://arxiv.org/abs/1902.06705.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ...attacks.adaptive import MoreDraws, Transfer
from ...core.attack import Attack
from ...core.universal_attack import UniversalAttack
from .stats import larger

PROBABILITIES = "probabilities"
FLAT = "flat-outputs"
RANDOM_WEIGHTS = "random-weights"
SINGLE_DRAW = "single-draw"
ZERO_GRADIENTS = "zero-gradients"
BOUNDARY = "stops-at-boundary"
NO_BETTER_THAN_CHANCE = "no-better-than-chance"
ONE_CLASS = "one-class"
LABEL_ORDER = "label-order"
ONE_STEP_WINS = "one-step-beats-iterative"
BLACK_BOX_WINS = "black-box-beats-white-box"
TRANSFER_WINS = "transfer-beats-white-box"
FALLS_WITH_EPS = "falls-with-eps"
RESISTS_ANY_EPS = "resists-any-eps"
OBLIVIOUS_WINS = "oblivious-beats-adaptive"
SHORTER_WINS = "shorter-run-wins"
UNSETTLED = "draws-not-settled"
TWICE = "same-result-twice"

FLAGS: Mapping[str, str] = {
    PROBABILITIES: "the model answers with probabilities, not logits: where it is sure, the gradient vanishes",
    FLAT: "the model gives all classes about the same probability on most images: attacks that ascend cross-entropy "
    "then follow the mean of all classes, not the likeliest other one; multiply its logits",
    RANDOM_WEIGHTS: "nothing has trained the network: its weights are random",
    SINGLE_DRAW: "a randomized system was scored with one draw per image",
    ZERO_GRADIENTS: "there is no gradient to follow; behind the colon, at how many percent of the images",
    NO_BETTER_THAN_CHANCE: "the bare network, or its source model, knows the clean images no better than one that "
    "guesses",
    ONE_CLASS: "the bare network, or the one that the attack was crafted on, predicts one class for every image",
    LABEL_ORDER: "a network that is rarely right tells classes apart: they may be in another order than the labels",
    BOUNDARY: "the attack stops just beyond the boundary of the system it was crafted on: on another its budget could "
    "do more",
    ONE_STEP_WINS: "a single step fools more images than an iterated attack with the same budget",
    BLACK_BOX_WINS: "an attack that sees less of the model fools more images than one that follows its gradient",
    TRANSFER_WINS: "what was crafted on another system, as the bare model, fools this one more often than what was "
    "crafted on it",
    FALLS_WITH_EPS: "a smaller budget fools more images",
    OBLIVIOUS_WINS: "the same attack fools more images where it does not know the defense: what it knows misleads it",
    SHORTER_WINS: "the same attack fools more images in fewer steps or queries",
    UNSETTLED: "the last draws that an expectation was taken over still fooled more images: raise `eot_draws`",
    TWICE: "two results agree in every number of every image and in time: one of them is the other",
    RESISTS_ANY_EPS: "a budget that can turn every image grey does not fool (almost) all",
}
"""The meaning of each flag; if two rows contradict each other, both have it."""

MOST_DEAD = 50.0
"""From this percentage of images without a gradient on, a gradient attack says nothing about the system."""
ANY_EPS = 0.5
"""A Linf budget that can turn every image grey, for pixels in [0, 1]."""
ALMOST_ALL = 95.0
"""The fooling rate, in percent, that a white-box attack with such a budget has to reach."""
LENGTHS = {"steps", "restarts", "queries", "searches", "max_iterations"}
"""The parameters of attacks that set how long they run."""


def gradient_flags(vanishing: float) -> set[str]:
    """Return the flag of an attack that found no gradient on a share of images, in 0..1; none for a share of 0."""
    return {f"{ZERO_GRADIENTS}:{100 * vanishing:.0f}%"} if vanishing > 0 else set()


def leads_astray(flag: str) -> bool:
    """Return whether a flag says that an attack was misled by what it knew of a system, or by vanishing gradients."""
    name, _, share = flag.partition(":")
    return name == OBLIVIOUS_WINS or (name == ZERO_GRADIENTS and float(share.rstrip("%")) >= MOST_DEAD)


@dataclass
class Finding:
    """A finished cell of one model, metric and system, as comparisons between attacks need it, and its flags.

    `scores` has a row per image; only its columns `gfr` and `cluster` are used. `source` is the network that the attack
    was crafted on, `through` the digest of the defense that it was crafted through. `direct` says that this is the very
    system that is scored; little can be expected of other attacks, such as oblivious ones behind a defense, because a
    single step often transfers better than many. `after` is the attack that went before, whose images the row has as
    well. `training` names the training images, if they are not the usual ones.
    """

    attack: Attack | UniversalAttack
    scores: pd.DataFrame
    direct: bool
    source: str = ""
    through: str = ""
    after: Attack | UniversalAttack | None = None
    training: str = ""
    flags: set[str] = field(default_factory=set)

    @property
    def setting(self) -> tuple[object, ...]:
        """A key for the system and training images: only attacks with equal keys are compared by length or budget."""
        return self.direct, self.source, self.through, self.training


Fingerprint = tuple[int, ...]
Suspicion = Callable[[Finding, Finding], bool]


def compare(one: Finding, other: Finding) -> None:
    """Add flags to both findings if the attack that should be weaker beats the other one on the same system.

    An attack beats another if it fools more images than chance explains, by a sign test on the same images or clusters.
    """
    for better, worse in ((one, other), (other, one)):
        found = {name for name, suspicious in _PAIRS.items() if suspicious(better, worse)}
        if found and larger(better.scores.gfr, worse.scores.gfr, clusters=better.scores.get("cluster")):
            better.flags |= found
            worse.flags |= found


def resistance_flags(finding: Finding, gfr_high: Callable[[], float]) -> set[str]:
    """Return the flag of a white-box attack with a huge budget that does not fool almost all images.

    `gfr_high` returns the upper end of its fooling rate in percent. It takes time, so it is called only if needed.
    """
    huge = finding.attack.norm == "linf" and finding.attack.eps >= ANY_EPS
    return {RESISTS_ANY_EPS} if huge and _should_win(finding) and gfr_high() < ALMOST_ALL else set()


def fingerprint(scores: pd.DataFrame) -> Fingerprint | None:
    """Return a hash of each numeric column of scores; None if no time was spent: equal numbers mean nothing then.

    It is the multilinear hash of their bits, modulo 2**64, for speed: ten times as fast as a cryptographic one.
    """
    if not scores.seconds.any():  # no two attacks take exactly the same time
        return None
    weights = np.random.default_rng(0).integers(2**64, size=len(scores), dtype=np.uint64)
    numbers = (scores[name].to_numpy(float) for name in scores.select_dtypes("number"))
    return tuple(int(weights @ column.view(np.uint64)) for column in numbers)


def twice(found: Mapping[str, tuple[str, Fingerprint | None]]) -> set[str]:
    """Return the keys of cells whose fingerprint equals that of another job; `found` has (job, fingerprint) by cell."""
    jobs: dict[Fingerprint, set[str]] = {}
    for job, known in found.values():
        if known is not None:
            jobs.setdefault(known, set()).add(job)
    return {cell for cell, (_, known) in found.items() if known is not None and len(jobs[known]) > 1}


def _one_step_wins(better: Finding, worse: Finding) -> bool:
    return better.direct and better.attack.one_step and _should_win_over(better, worse)


def _black_box_wins(better: Finding, worse: Finding) -> bool:
    asks_little = isinstance(better.attack, Attack) and better.attack.access in ("none", "decision", "score")
    return asks_little and better.after is None and _should_win_over(better, worse)


def _transfer_wins(better: Finding, worse: Finding) -> bool:
    sees_inside = better.attack.access in ("features", "gradient")
    return not better.direct and sees_inside and _should_win_over(better, worse)


def _falls_with_eps(better: Finding, worse: Finding) -> bool:
    if type(better.attack) is not type(worse.attack) or better.attack.eps >= worse.attack.eps:
        return False
    return better.setting == worse.setting and _without_eps(better.attack) == _without_eps(worse.attack)


def _oblivious_wins(better: Finding, worse: Finding) -> bool:
    same = (better.source, better.attack, better.training) == (worse.source, worse.attack, worse.training)
    return same and not better.direct and worse.direct


def _shorter_wins(better: Finding, worse: Finding) -> bool:
    if type(better.attack) is not type(worse.attack) or (better.setting, better.after) != (worse.setting, worse.after):
        return False
    short, long = vars(better.attack), vars(worse.attack)
    differing = {name for name in short if short[name] != long[name]}
    return bool(differing) and differing <= LENGTHS and all(short[name] < long[name] for name in differing)


def _more_draws_win(better: Finding, worse: Finding) -> bool:
    growing = isinstance(worse.attack, MoreDraws) and better.after == worse.attack
    return growing and isinstance(better.attack, MoreDraws) and better.direct and worse.direct


_PAIRS: dict[str, Suspicion] = {
    ONE_STEP_WINS: _one_step_wins,
    BLACK_BOX_WINS: _black_box_wins,
    TRANSFER_WINS: _transfer_wins,
    FALLS_WITH_EPS: _falls_with_eps,
    OBLIVIOUS_WINS: _oblivious_wins,
    SHORTER_WINS: _shorter_wins,
    UNSETTLED: _more_draws_win,
}


def _should_win(finding: Finding) -> bool:
    """Return whether a finding is of an iterated, untargeted gradient attack on the very system that is scored.

    The first member of an adaptive ensemble, which follows the bare network's gradient, is none.
    """
    attack = finding.attack
    iterated = isinstance(attack, Attack) and attack.access == "gradient" and attack.leaves and not attack.one_step
    return finding.direct and iterated and not isinstance(attack, Transfer)


def _should_win_over(other: Finding, finding: Finding) -> bool:
    """Return whether `finding` should fool no fewer images than `other`, because both have the same threat."""
    return _should_win(finding) and other.attack.threat == finding.attack.threat


def _without_eps(attack: Attack | UniversalAttack) -> dict[str, object]:
    return {name: value for name, value in vars(attack).items() if name != "eps"}
