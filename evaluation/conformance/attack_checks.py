"""Checks of attacks. A check's docstring is the promise; if it is broken, one sentence says what was seen instead."""

import copy

import torch
from torch import Tensor

from ...attacks._losses import class_count
from ...core.attack import Attack
from ...core.errors import BudgetError, ConfigError, FoolbenchError
from ...core.model import Model
from ...core.norms import size
from ...core.query_attack import QueryAttack
from ...core.universal_attack import CraftingData, UniversalAttack
from ...defenses.gradients import adaptive
from ...defenses.noise import RandomNoise
from .checks import (
    Check,
    configuration_survives_pickling,
    describes_itself,
    extremes,
    global_random_states,
    hold,
    images,
    model,
    streams,
)

CLOSE = 1e-3  # largest difference between an image alone and in a batch: rounding grows over an attack's steps
ROUNDING = 1e-5
SHAPE = (3, 10, 12)  # small, because an attack takes many steps


def budget_is_kept(attack: Attack | UniversalAttack) -> None:
    """Adversarial images lie within eps of the images, and in [0, 1]."""
    for x in (images(4, SHAPE), extremes(SHAPE)):
        try:
            found = _attacked(attack, x)
        except BudgetError as error:
            hold(False, f"{error} Project the result: self.threat.project(x_adv, x).")
            return
        hold(found.shape == x.shape and found.dtype == torch.float32, f"{found.dtype} {tuple(found.shape)} came back.")
        excess = float((size(found - x, attack.norm) - attack.eps).max())
        hold(excess <= ROUNDING, f"The result exceeds eps by {excess:.2g}; project it.")


def model_and_images_are_left_alone(attack: Attack | UniversalAttack) -> None:
    """The attack changes neither the images nor the model's weights, their gradients and its mode."""
    target, x = model(), images(4, SHAPE)
    before, weights = x.clone(), copy.deepcopy(target.net.state_dict())
    _attacked(attack, x, target)
    hold(torch.equal(x, before), "The images it was given have changed; work on a copy, x.clone().")
    same = all(torch.equal(weights[name], tensor) for name, tensor in target.net.state_dict().items())
    hold(same, "The model's weights have changed; optimise the images only.")
    clean = all(parameter.grad is None for parameter in target.net.parameters())
    hold(clean, "The model's weights have gradients now; use torch.autograd.grad on the images.")
    hold(not target.net.training, "The model is in training mode now; leave it in eval mode.")


def randomness_is_declared(attack: Attack | UniversalAttack) -> None:
    """Equal random streams give equal results; other streams may give other results only if randomized = True."""
    x = images(4, SHAPE)
    first, same, other = (_attacked(attack, x, seed=seed) for seed in (0, 0, 1))
    hold(torch.equal(first, same), "Two calls with the same rng differ; draw every random number from rng.")
    if not attack.randomized:
        hold(torch.equal(first, other), "Another seed gives another result; say randomized = True.")


def global_random_state_is_left_alone(attack: Attack | UniversalAttack) -> None:
    """No random number is drawn from the global generators of torch, NumPy or Python."""
    before = global_random_states()
    _attacked(attack, images(4, SHAPE))
    hold(before == global_random_states(), "It drew from a global random generator; draw from rng instead.")


def batch_does_not_matter(attack: Attack | UniversalAttack) -> None:
    """The result for an image depends neither on the other images in its batch nor on their order."""
    if isinstance(attack, UniversalAttack):
        return
    target, x = model(), images(4, SHAPE)
    y = _labels(attack, target, x)
    together = attack(target, x, y, rng=streams(4))
    for rows in (torch.tensor([2]), torch.tensor([3, 0])):
        apart = attack(target, x[rows], y[rows], rng=streams(4)[rows])
        worst = float((apart - together[rows]).abs().max())
        hold(
            worst <= CLOSE,
            f"Images {rows.tolist()} without the others come out {worst:.2g} apart; use no mean over the batch, "
            "and stop every image by itself.",
        )


def flat_models_do_no_harm(attack: Attack | UniversalAttack) -> None:
    """For a model with constant outputs, the attack returns finite images or raises FoolbenchError."""
    target = model()
    for parameter in target.net.parameters():
        parameter.data.zero_()
    try:
        _attacked(attack, images(4, SHAPE), target)
    except BudgetError as error:
        hold(False, f"{error} Look for a division by a gradient's norm.")
    except FoolbenchError:
        return  # the attack refuses a model without a gradient


def random_systems_can_be_attacked(attack: Attack | UniversalAttack) -> None:
    """The attack runs on a randomized system, and equal random streams give equal results there."""
    target = adaptive(RandomNoise(), model(), draws=2)
    try:
        first, same = (_attacked(attack, images(4, SHAPE), target) for _ in range(2))
    except ConfigError as error:
        hold(False, f"{error} Give the model fresh streams at every step: model.averaged(x, rng=rng.fork(step)).")
        return
    hold(torch.equal(first, same), "On a random system two calls with the same rng differ; draw from rng only.")


def access_is_what_it_says(attack: Attack | UniversalAttack) -> None:
    """The attack uses gradients exactly if access is "gradient" or "features", and no model exactly if it is "none"."""
    if isinstance(attack, UniversalAttack):
        return  # its validation uses predictions whatever its access is
    target, x = model(), images(4, SHAPE)
    y = _labels(attack, target, x)
    before = copy.copy(target.passes)
    attack(target, x, y, rng=streams(4))
    asked = target.passes.forwards > before.forwards
    back = target.passes.backwards > before.backwards
    says = f"access = {attack.access!r}"
    hold(asked == (attack.access != "none"), f"It {'asks' if asked else 'does not ask'} the model, but says {says}.")
    follows = attack.access in ("gradient", "features")
    hold(back == follows, f"It {'asks' if back else 'does not ask'} for gradients, but says {says}; correct access.")


def queries_are_counted(attack: Attack | UniversalAttack) -> None:
    """The reported queries of an image equal the forward passes, without or with the one of the clean image."""
    if not isinstance(attack, QueryAttack):
        return
    target = model()
    for sample, x in enumerate(images(4, SHAPE).split(1)):
        y = _labels(attack, target, x)
        before = target.passes.forwards
        says = int(attack.counted(target, x, y, rng=streams(4)[sample : sample + 1]).queries)
        asked = target.passes.forwards - before
        hold(says in (asked, asked - 1), f"It asks about {asked} points of an image, but says {says} queries.")


ATTACK_CHECKS = [
    Check(check)
    for check in (
        describes_itself,
        configuration_survives_pickling,
        budget_is_kept,
        model_and_images_are_left_alone,
        randomness_is_declared,
        global_random_state_is_left_alone,
        batch_does_not_matter,
        flat_models_do_no_harm,
        random_systems_can_be_attacked,
        access_is_what_it_says,
        queries_are_counted,
    )
]


def _labels(attack: Attack, target: Model, x: Tensor) -> Tensor:
    """Return the predicted classes, or for a targeted attack the next ones as targets."""
    predicted = target.judge(x, rng=streams(len(x)))
    return (predicted + 1) % class_count(target) if attack.targeted else predicted


def _attacked(attack: Attack | UniversalAttack, x: Tensor, target: Model | None = None, seed: int = 0) -> Tensor:
    target = target or model()
    if isinstance(attack, Attack):
        return attack(target, x, _labels(attack, target, x), rng=streams(len(x), seed))
    data = CraftingData(validation=images(8, SHAPE), load_training=lambda: images(8, SHAPE))
    return attack.craft(target, data, rng=streams(1, seed)).apply(x)
