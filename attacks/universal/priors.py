"""The images on which a universal attack crafts: none, noise in the range of the data, or the data itself.

Range and data prior share the random augmentation of GD-UAP's released code (https://github.com/val-iisc/GD-UAP):
scale, mirror, rotation, blur and crop. The released code augments anew in every iteration; here a pool of augmented
images is made once and sampled from, which keeps image processing out of the iterations. Unlike there, downscaling
averages, and no view is enlarged and cut once more at the end, so that the range prior is weaker noise: at 224 x 224 a
standard deviation of 17 levels of 255, and of 8 after the smallest blur, where the released code has 22 to 27 and 11 to
13.
"""

import math

import torch
from torch import Tensor

from ...core.errors import InputError
from ...core.images import check_images
from ...core.model import Model
from ...core.seeding import Draws
from ...core.universal_attack import CraftingData, Prior

LEAST = 0.25  # of the training images; the paper's rule, less than half of an image, leaves 27% of VOC
RANGE_STD = 58 / 255  # of the Gaussian image; the released code has 52, 58 and 62 for B, G and R
RANGE_SCALE = 500 / 224  # the Gaussian image's side, in sides of the network's input
POOL = 512


def crafting_pool(prior: Prior, model: Model, data: CraftingData, rng: Draws) -> Tensor:
    """Return images (P, C, H, W) to add the perturbation to, in pixel space. `rng` has a single stream.

    The range prior is noise around the mean of the model's normalisation, or around 0.5 for a model without one.
    """
    shape = data.validation.shape[1:]
    mean = model.mean_image.to(data.validation.device).expand(shape)
    if prior == "none":
        return mean[None]  # the network's input is zero there: it sees the perturbation alone
    if prior == "range":
        mean = mean if mean.any() else torch.full_like(mean, 0.5)  # around black, half of the pixels would be cut off
        height, width = (round(RANGE_SCALE * side) for side in shape[1:])
        noise = rng.fork("range").normal((shape[0], height, width))[0]
        sources = (mean[:, :1, :1] + RANGE_STD * noise).clamp(0, 1)[None]
    else:
        sources = data.load_training()
        check_images(sources, (shape[0], None, None))
    chosen = rng.fork("sources").integers(len(sources), (POOL,))[0]
    per_image = Draws.of("augment", int(rng.fork("augment").bits()[0]), samples=range(POOL))
    augmented = [_augment(sources[int(row)], mean, per_image[i : i + 1]) for i, row in enumerate(chosen)]
    return torch.stack(augmented)


def with_less_background(images: Tensor, maps: Tensor | None, background: int | None) -> Tensor:
    """Return the quarter of the images (N, C, H, W) whose maps (N, H, W) show the least of the class `background`.

    Raises InputError for images that have no maps.
    """
    if maps is None or background is None:
        raise InputError("Expected training images with maps, by which those with less background are known; got none.")
    shares = (maps == background).flatten(1).float().mean(dim=1)
    return images[shares.argsort(stable=True)[: math.ceil(LEAST * len(images))]]


def images_to_fool(prior: Prior, model: Model, data: CraftingData, rng: Draws) -> Tensor:
    """Return images (P, C, H, W) whose classes are to change: the training images, or the crafting pool."""
    if prior != "data":
        return crafting_pool(prior, model, data, rng)
    images = data.load_training()
    shape = data.validation.shape[1:]
    check_images(images, (shape[0], shape[1], shape[2]))
    return images


def _augment(image: Tensor, mean: Tensor, draws: Draws) -> Tensor:
    """Return one random view of `image` (C, h, w), of the size of `mean` (C, H, W), which fills the rest."""
    from torchvision.transforms.v2 import functional as image_ops  # here: importing it takes as long as all the rest

    height, width = mean.shape[1:]
    coins = draws.uniform((4,))[0] < 0.5
    scale = float(draws.uniform((), 0.75, 1.5)) if coins[0] else 1.0
    angle = (3, 5, 7, 10)[int(draws.integers(4))] * float(draws.signs()) if coins[1] else 0.0
    wanted = [max(1, round(side * scale)) for side in (height, width)]
    view = image_ops.resize(image, _before_rotation(wanted, angle) if angle else wanted, antialias=True)
    if angle:
        view = image_ops.rotate(view, angle, interpolation=image_ops.InterpolationMode.BILINEAR)
        view = image_ops.center_crop(view, wanted)
    if coins[2]:
        view = image_ops.horizontal_flip(view)
    if coins[3]:
        kernel = (3, 5, 7, 9)[int(draws.integers(4))]
        if kernel // 2 < min(view.shape[1:]):
            view = image_ops.gaussian_blur(view, [kernel, kernel], [1.0, 1.0])
    canvas = mean.clone()
    rows, columns = min(height, view.shape[1]), min(width, view.shape[2])
    top = int(draws.integers(view.shape[1] - rows + 1))
    left = int(draws.integers(view.shape[2] - columns + 1))
    canvas[:, :rows, :columns] = view[:, top : top + rows, left : left + columns]
    return canvas


def _before_rotation(size: list[int], angle: float) -> list[int]:
    """Return height and width of an image that still covers `size` after a rotation by `angle` degrees."""
    cos, sin = math.cos(math.radians(angle)), abs(math.sin(math.radians(angle)))
    height, width = size
    margin = 4  # bilinear interpolation mixes the black outside into the border
    return [math.ceil(height * cos + width * sin) + margin, math.ceil(width * cos + height * sin) + margin]
