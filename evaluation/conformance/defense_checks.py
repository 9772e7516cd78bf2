"""Checks of defenses. A check's docstring is the promise; if it is broken, one sentence says what was seen instead."""

import torch
from torch import Tensor

from ...core.defense import Defense
from ...core.errors import ConfigError, InputError
from ...core.model import Model
from ...core.shell import Shell
from ...defenses.gradients import adaptive
from .checks import (
    SHAPE,
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
from .gradient_check import gradient_is_as_declared

CLOSE = 1e-5  # largest relative difference between the outputs of an image alone and in a batch


def facts_are_stated(defense: Defense) -> None:
    """The defense states whether it is differentiable and whether it is randomized."""
    for fact in ("differentiable", "randomized"):
        stated = getattr(defense, fact, None)
        hold(isinstance(stated, bool), f"{fact} is {stated!r}; add {fact} = True or False to the class.")


def images_stay_images(defense: Defense) -> None:
    """The network receives finite float32 images in [0, 1] on the same device, and gives one output for each image."""
    for count in (4, 1):
        x = images(count)
        _hold_images(defense, x)
        outputs = _outputs(defense, x)
        hold(len(outputs) == count, f"{len(outputs)} outputs came for {count} images; keep the batch dimension.")


def other_sizes_work_or_are_refused(defense: Defense) -> None:
    """Images of another height and width are defended, or refused with an InputError."""
    try:
        _hold_images(defense, images(2, (SHAPE[0], SHAPE[2], SHAPE[1])))
    except InputError:
        return  # such as a defense that was fitted to images of one size


def extreme_images_stay_images(defense: Defense) -> None:
    """All-black, all-white and black-and-white images give valid images, too."""
    _hold_images(defense, extremes())


def one_channel_works_or_is_refused(defense: Defense) -> None:
    """Images of one channel are defended, or refused with an InputError."""
    system, x = _defended(defense, 1), images(2, (1, *SHAPE[1:]))
    try:
        system(x, rng=streams(2))
    except InputError:
        return
    except Exception as error:  # noqa: BLE001 (any other error breaks the promise)
        hold(False, f"Images of one channel raised {error!r}; work on them, or raise InputError with one sentence.")


def bad_images_are_refused(defense: Defense) -> None:
    """NaN, values outside [0, 1], other types and a missing batch dimension are refused with an InputError."""
    if not callable(defense):
        return
    bad = {
        "NaN": images() * torch.nan,
        "values of 255": images() * 255,
        "uint8": (images() * 255).byte(),
        "double precision": images().double(),
        "three dimensions": images()[0],
    }
    for what, x in bad.items():
        try:
            defense(x, rng=0)
        except InputError:
            continue
        except Exception as error:  # noqa: BLE001
            hold(False, f"{what} raised {error!r} instead of an InputError; leave __call__ to InputTransform.")
        hold(False, f"{what} went through; leave __call__ to InputTransform, which refuses it.")


def input_is_left_alone(defense: Defense) -> None:
    """The input images are not changed in place."""
    x = images()
    before = x.clone()
    _outputs(defense, x)
    hold(torch.equal(x, before), "The images it was given have changed; work on a copy, x.clone().")


def randomness_is_declared(defense: Defense) -> None:
    """Equal random streams give equal outputs; other streams give other outputs exactly if randomized = True."""
    x = images()
    first, same, other = (_outputs(defense, x, seed) for seed in (0, 0, 1))
    hold(torch.equal(first, same), "Two calls with the same rng differ; draw every random number from rng.")
    if defense.randomized:
        hold(not torch.equal(first, other), "Another seed changes nothing; draw from rng, or say randomized = False.")
    else:
        hold(torch.equal(first, other), "Another seed gives other outputs; say randomized = True.")


def global_random_state_is_left_alone(defense: Defense) -> None:
    """No random number is drawn from the global generators of torch, NumPy or Python."""
    before = global_random_states()
    _outputs(defense, images())
    hold(before == global_random_states(), "It drew from a global random generator; draw from rng instead.")


def batch_does_not_matter(defense: Defense) -> None:
    """The output for an image depends neither on the other images in its batch nor on their order."""
    system, x = _defended(defense), images()
    together = system(x, rng=streams(4))
    for rows in (torch.tensor([2]), torch.tensor([3, 0])):
        apart = system(x[rows], rng=streams(4)[rows])
        worst = float((apart - together[rows]).abs().max())
        scale = float(together.abs().max())
        hold(
            worst <= CLOSE * max(1.0, scale),
            f"Images {rows.tolist()} without the others give outputs {worst:.2g} apart; treat every image by itself.",
        )


def black_and_white_have_a_gradient(defense: Defense) -> None:
    """With differentiable = True, the gradient at all-black, all-white and black-and-white images is not zero."""
    if not defense.differentiable:
        return
    x = extremes().requires_grad_()
    outputs = _defended(defense).logits(x, rng=streams(len(x)))
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x)
    for name, found in zip(("black", "white", "black-and-white"), gradient, strict=True):
        hold(
            found.any(),
            f"None comes back to a {name} image; torch's clamp may have none there, foolbench.core.clamped has.",
        )


def adaptive_attack_sees_the_defended_system(defense: Defense) -> None:
    """With `adaptive`, outputs equal those of the defended system, and every surrogate gives a finite gradient."""
    expected, system = _outputs(defense, images(2)), adaptive(defense, model(), draws=2)
    for name, one in {"": system, **system.alternatives}.items():
        x, what = images(2).requires_grad_(), f" by the surrogate {name!r}" if name else ""
        try:
            outputs = one.logits(x, rng=streams(2))
        except ConfigError as error:  # a surrogate's output has another shape
            hold(False, f"{error}")
            return
        hold(torch.equal(outputs, expected), f"The outputs{what} differ from those of the defended system.")
        (gradient,) = torch.autograd.grad(outputs.square().sum(), x, allow_unused=True)
        seen = gradient is not None and bool(torch.isfinite(gradient).all()) and bool(gradient.any())
        hold(seen, f"No finite gradient comes back{what}; give a surrogate through which one does.")


DEFENSE_CHECKS = [
    *map(Check, (describes_itself, facts_are_stated, configuration_survives_pickling)),
    *(
        Check(check, needs=("facts_are_stated", "it_learns"))
        for check in (
            images_stay_images,
            other_sizes_work_or_are_refused,
            extreme_images_stay_images,
            one_channel_works_or_is_refused,
            bad_images_are_refused,
            input_is_left_alone,
            randomness_is_declared,
            global_random_state_is_left_alone,
            batch_does_not_matter,
            gradient_is_as_declared,
            black_and_white_have_a_gradient,
            adaptive_attack_sees_the_defended_system,
        )
    ),
]


def _defended(defense: Defense, channels: int = SHAPE[0]) -> Model:
    return defense.defend(model(channels))


def _outputs(defense: Defense, x: Tensor, seed: int = 0) -> Tensor:
    with torch.no_grad():
        return _defended(defense, x.shape[1])(x, rng=streams(len(x), seed))


def _hold_images(defense: Defense, x: Tensor) -> None:
    def look(shell: Shell, after: Tensor) -> None:
        hold(after.dtype == torch.float32, f"Images of {after.dtype} came back; return float32.")
        hold(after.device == x.device, f"Images on {after.device} came back; return them where they were.")
        hold(after.ndim == 4, f"Images of shape {tuple(after.shape)} came back; return (N, C, H, W).")
        hold(torch.isfinite(after).all(), "NaN or infinite values came back; look for a division by zero.")
        low, high = float(after.min()), float(after.max())
        hold(low >= 0 and high <= 1, f"Values in [{low:.4g}, {high:.4g}] came back; clamp to [0, 1].")

    with torch.no_grad():
        _defended(defense, x.shape[1]).watched(x, look, rng=streams(len(x)))
