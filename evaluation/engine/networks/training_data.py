"""The images that a universal attack crafts with: substitutes to validate on, training images for its prior."""

import torch

from ....attacks.universal.priors import with_less_background
from ....core.universal_attack import CraftingData, Prior
from ....datasets.substitutes import photographs_shown_by, substitute_images
from ...recipe.entries import Training
from ..crafting.elsewhere import training_elsewhere
from ..work.progress import Bar, Steps
from .networks import Network

SUBSTITUTES = 512
"""The number of substitute images, none of them of the task, that a universal attack validates on."""
TRAINING_IMAGES = 512
"""The number of training images for a prior that uses them, unless the recipe gives another."""


def of(source: Network, prior: Prior, given: Training, seed: int, steps: Steps, search: Bar) -> CraftingData:
    """Return the crafting data of an attack on `source`, on its device; training images are loaded on request.

    `search` shows the progress of the search, `steps` that of loading training images.
    """
    model, dataset = source.model, source.dataset

    def training() -> torch.Tensor:
        count = given.images or TRAINING_IMAGES
        with steps.step("  training images", count, "images") as step:
            if given.data is None:
                images, targets = dataset.training(count, step.advance)
            else:
                images, targets = training_elsewhere(given.data, count, dataset, step.advance), None
        if prior == "less-background":
            images = with_less_background(images, targets, model.task.background)
        return (images.float() / 255).to(model.device)

    def show(done: int, limit: int, best: float) -> None:
        search.at(done, limit, "iterations" if best < 0 else f"iterations, {100 * best:.0f}% fooled")

    substitutes = substitute_images(SUBSTITUTES, dataset.shape, seed=seed, without=photographs_shown_by(dataset))
    return CraftingData(validation=substitutes.to(model.device), load_training=training, progress=show)
