"""The one rule about images, and a sentence for each way to break it."""

import numpy as np
import pytest
import torch
from foolbench.core import InputError, check_images
from foolbench.core.images import check_layout

GOOD = torch.full((2, 3, 4, 5), 0.5)


def spoiled(value: float) -> torch.Tensor:
    images = GOOD.clone()
    images[1, 2, 3, 4] = value
    return images


BAD_LAYOUT = {
    "numpy": (np.zeros((2, 3, 4, 5), np.float32), "torch tensor, got ndarray"),
    "none": (None, "torch tensor, got NoneType"),
    "uint8": (GOOD.to(torch.uint8), "float32.*got torch.uint8.*/ 255"),
    "float64": (GOOD.double(), "float32.*got torch.float64"),
    "one image": (GOOD[0], r"shape \(N, C, H, W\), got \(3, 4, 5\)"),
    "no images": (GOOD[:0], "at least one image"),
    "no pixels": (GOOD[:, :, :0], "at least one image"),
}
BAD_VALUES = {
    "nan": (spoiled(torch.nan), "NaN"),
    "inf": (spoiled(torch.inf), r"in \[0.5, inf\]"),
    "-inf": (spoiled(-torch.inf), r"in \[-inf, 0.5\]"),
    "just above": (spoiled(1 + 1e-6), "normalisation"),
    "just below": (spoiled(-1e-6), "normalisation"),
    "raw bytes": (GOOD * 255, "127.5.*divide"),
}


@pytest.mark.parametrize(("images", "complaint"), BAD_LAYOUT.values(), ids=BAD_LAYOUT)
@pytest.mark.parametrize("check", [check_layout, check_images])
def test_wrong_layout(check, images, complaint):
    with pytest.raises(InputError, match=complaint):
        check(images)


@pytest.mark.parametrize(("images", "complaint"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_wrong_values(images, complaint):
    check_layout(images)
    with pytest.raises(InputError, match=complaint):
        check_images(images)


@pytest.mark.parametrize("shape", [(None, None, None), (3, None, None), (3, 4, 5), (None, 4, None)])
def test_right_shape(shape):
    check_images(GOOD, shape)


@pytest.mark.parametrize(
    ("shape", "wanted"), [((1, None, None), "N, 1, H, W"), ((3, 5, 4), "N, 3, 5, 4"), ((None, None, 4), "N, C, H, 4")]
)
def test_wrong_shape(shape, wanted):
    with pytest.raises(InputError, match=rf"\({wanted}\), got \(2, 3, 4, 5\)"):
        check_images(GOOD, shape)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_bounds_belong_to_the_images(value):
    check_images(spoiled(value))
