"""Checks of models. A check's docstring is the promise; if it is broken, one sentence says what was seen instead."""

from collections.abc import Callable

import torch
from torch import Tensor

from ...core.errors import ConfigError, InputError
from ...core.model import Model
from .checks import SHAPE, Check, global_random_states, hold, images, streams
from .steady import check_alone, check_repeated, check_unchanged


def outputs_fit_the_task(model: Model) -> None:
    """The model gives one finite output for each image, of the shape that its task requires."""
    for count in (4, 1):
        try:
            _outputs(model, _images(model, count))
        except InputError as error:
            hold(False, f"{error}")


def network_is_in_eval_mode(model: Model) -> None:
    """Neither dropout nor batch norm is in training mode, now or after a forward pass."""
    _outputs(model, _images(model))
    name = next((name or "the network" for name, module in model.net.named_modules() if module.training), None)
    hold(name is None, f"{name} is in training mode; drop what switches it there.")


def equal_images_give_equal_outputs(model: Model) -> None:
    """Two forward passes of the same images give the same outputs."""
    _hold(check_repeated, model)


def batch_does_not_matter(model: Model) -> None:
    """The output for an image does not depend on the others in its batch."""
    _hold(check_alone, model)


def network_is_left_alone(model: Model) -> None:
    """A forward pass changes neither weights nor buffers, nor anything else of the network."""
    _hold(check_unchanged, model)


def images_are_left_alone(model: Model) -> None:
    """The input images are not changed in place."""
    x = _images(model)
    before = x.clone()
    _outputs(model, x)
    hold(torch.equal(x, before), "The images it was given have changed; begin with a copy, x.clone().")


def global_random_state_is_left_alone(model: Model) -> None:
    """No random number is drawn from the global generators of torch, NumPy or Python."""
    before = global_random_states()
    _outputs(model, _images(model))
    hold(before == global_random_states(), "It drew from a global random generator; an evaluation must be repeatable.")


def gradient_reaches_the_images(model: Model) -> None:
    """The outputs have a finite, non-zero gradient with respect to each image, which gradient attacks need."""
    x = _images(model).requires_grad_()
    outputs = model(x, rng=streams(len(x)))
    only = "score and decision attacks still work"
    hold(outputs.requires_grad, f"No gradient comes through; drop detach, no_grad and round, or know that {only}.")
    (gradient,) = torch.autograd.grad(outputs.square().sum(), x, allow_unused=True)
    hold(gradient is not None, f"The outputs do not depend on the images by a gradient; {only}.")
    hold(torch.isfinite(gradient).all(), "The gradient is not finite; look for a root, a log or a division at zero.")
    silent = int((gradient.flatten(1) == 0).all(dim=1).sum())
    hold(not silent, f"The gradient of {silent} of {len(x)} images is zero everywhere; {only}.")


def features_are_recorded(model: Model) -> None:
    """Each of the model's feature layers gives finite features, one entry for each image."""
    if not model.feature_names:
        return
    layers = f"A feature layer of {', '.join(model.feature_names)}"
    for feature in model.features(_images(model)):
        hold(len(feature) == 4, f"{layers} gives {len(feature)} features for 4 images; name layers of the batch.")
        hold(torch.isfinite(feature).all(), f"{layers} gives NaN or infinite features.")


MODEL_CHECKS = [
    Check(outputs_fit_the_task),
    *(
        Check(check, needs=("outputs_fit_the_task",))
        for check in (
            network_is_in_eval_mode,
            equal_images_give_equal_outputs,
            batch_does_not_matter,
            network_is_left_alone,
            images_are_left_alone,
            global_random_state_is_left_alone,
            gradient_reaches_the_images,
            features_are_recorded,
        )
    ),
]


def _images(model: Model, count: int = 4) -> Tensor:
    channels, height, width = (given or usual for given, usual in zip(model.shape, SHAPE, strict=True))
    return images(count, (channels, height, width)).to(model.device)


def _outputs(model: Model, x: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x, rng=streams(len(x)))


def _hold(check: Callable[[Model, Tensor], None], model: Model) -> None:
    """Run a check of `steady.py`, which every run makes, too, on the model without its defenses."""
    try:
        check(model.through(()), _images(model))
    except ConfigError as error:
        hold(False, f"{error}")
