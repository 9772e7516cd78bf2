"""Resizing is torchvision's, padding is exact, sizes and places are uniform."""

import pytest
import torch
from foolbench.core import ConfigError, Draws
from foolbench.defenses import ResizePad
from torchvision.transforms.v2 import functional as image_ops


def box(image, value):
    """(top, left, height, width) of what is not padding."""
    rows, columns = ((image != value).any(dim=0).any(dim=dim).nonzero().flatten() for dim in (1, 0))
    return int(rows[0]), int(columns[0]), len(rows), len(columns)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("min_scale", [0.9, 0.4])
def test_is_torchvisions_resize_in_a_frame(photos, channels, min_scale):
    x = (0.2 + 0.6 * photos(8, channels, 30, 41)).clamp(0.1, 0.9)  # no pixel is the padding's
    after = ResizePad(min_scale=min_scale, value=1.0)(x, rng=0)
    boxes = [box(image, 1.0) for image in after]
    assert len(set(boxes)) >= 5
    for image, result, (top, left, height, width) in zip(x, after, boxes, strict=True):
        assert min_scale * 30 <= height <= 30
        assert abs(height / 30 - width / 41) < 1 / 30 + 1 / 41
        small = image_ops.resize(image, [height, width], antialias=False)
        found = result[:, top : top + height, left : left + width]
        torch.testing.assert_close(found, small, rtol=0, atol=1e-5)


def test_no_resize_is_the_identity(photos):
    x = photos(3, 3, 37, 29)
    torch.testing.assert_close(ResizePad(min_scale=1.0)(x), x, rtol=0, atol=1e-5)
    assert ResizePad().randomized
    assert not ResizePad(min_scale=1.0).randomized


@pytest.mark.parametrize(
    ("shape", "least"), [((8, 8), (7, 7)), ((9, 20), (8, 18)), ((2, 3), (1, 2)), ((1, 10), (1, 9))]
)
def test_small_images_shrink_by_a_pixel_at_least(shape, least):
    boxes = [box(image, 0.0) for image in ResizePad(value=0.0)(torch.ones(200, 1, *shape), rng=0)]
    sizes = {(height, width) for _, _, height, width in boxes}
    assert {min(sizes), max(sizes)} == {least, shape}
    assert len(set(boxes)) > len(sizes)  # at several places


def test_every_size_and_place_is_as_likely():
    x = torch.ones(4000, 1, 10, 10)
    boxes = [box(image, 0.0) for image in ResizePad(min_scale=0.8, value=0.0)(x, rng=0)]
    for size in (8, 9, 10):
        tops = [top for top, _, height, _ in boxes if height == size]
        assert len(tops) == pytest.approx(4000 / 3, rel=0.1)
        for place in range(11 - size):
            assert tops.count(place) == pytest.approx(len(tops) / (11 - size), rel=0.15)


def test_seeds_and_batches(photos):
    x = photos(5)
    once = ResizePad()(x, rng=3)
    assert torch.equal(once, ResizePad()(x, rng=3))
    assert not torch.equal(once, ResizePad()(x, rng=4))
    assert torch.equal(ResizePad()(x[2:4], rng=Draws.of(3, samples=range(5))[2:4]), once[2:4])


def test_gradient():
    x = 0.3 + 0.4 * torch.rand(2, 2, 9, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rng = Draws.of(0, samples=range(2))
    assert torch.autograd.gradcheck(lambda x: ResizePad(min_scale=0.5).transform(x, rng=rng[:]), x.requires_grad_())


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 2)])
def test_tiny_images(shape):
    assert ResizePad(min_scale=0.3)(torch.rand(2, 3, *shape)).shape == (2, 3, *shape)


@pytest.mark.parametrize("bad", [{"min_scale": 0}, {"min_scale": 1.1}, {"min_scale": float("nan")}, {"value": 2}])
def test_bad_parameters(bad):
    with pytest.raises(ConfigError, match="Expected"):
        ResizePad(**bad)
