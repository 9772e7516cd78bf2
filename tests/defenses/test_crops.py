"""Crops are torchvision's, resized as by torchvision; what is averaged has the invariants that it should."""

import pytest
import torch
from foolbench.core import ConfigError, Draws
from foolbench.defenses import CropEnsemble, TenCrop
from torchvision.transforms.v2 import functional as image_ops


def enlarged(image, top, left, height, width):
    """The part of an image, scaled to the size of the whole."""
    return image_ops.resized_crop(image, top, left, height, width, list(image.shape[1:]), antialias=False)


@pytest.mark.parametrize("channels", [1, 3])
def test_ten_crops_are_torchvisions(photos, channels):
    x = photos(2, channels, 30, 40)
    expected = [image_ops.resize(crops, [30, 40], antialias=False) for crops in image_ops.ten_crop(x, [24, 32])]
    torch.testing.assert_close(TenCrop(fraction=0.8)(x), torch.stack(expected, dim=1), rtol=0, atol=1e-5)


def test_random_crops_are_torchvisions_and_cover_all_places(photos):
    x = photos(2, 3, 10, 14)
    every = {(top, left): (top, left, 8, 11) for top in range(3) for left in range(4)}
    for image, views in zip(x, CropEnsemble(crops=200, fraction=0.8)(x, rng=0), strict=True):
        known = torch.stack([enlarged(image, *place) for place in every.values()])
        apart = (views[:, None] - known[None]).abs().amax(dim=(2, 3, 4))
        assert apart.amin(dim=1).max() < 1e-5
        counts = apart.argmin(dim=1).bincount(minlength=12)
        assert counts.min() >= 6  # 200 / 12 expected


@pytest.mark.parametrize("defense", [CropEnsemble(crops=7, fraction=1.0), TenCrop(fraction=1.0)])
def test_whole_crops_are_the_image(photos, defense):
    x = photos(2)
    for view in defense(x).unbind(1):
        assert min((view - x).abs().max(), (view - x.flip(3)).abs().max()) < 1e-5


def test_equal_crops_give_the_output_of_one(photos, linear_model):
    x, model = photos(3, 3, 8, 8), linear_model(5, (3, 8, 8))
    defended = CropEnsemble(crops=4, fraction=1.0).defend(model)
    outputs = defended(x, rng=Draws.of(0, samples=range(3)))
    torch.testing.assert_close(outputs.softmax(1), model(x).softmax(1))


def test_ten_crop_outputs_do_not_tell_an_image_from_its_mirror_image(photos, linear_model):
    x, model = photos(3, 3, 9, 15), linear_model(5, (3, 9, 15))  # odd remainders: the centre is between pixels
    defended = TenCrop(fraction=0.7).defend(model)
    torch.testing.assert_close(defended(x), defended(x.flip(3)), rtol=0, atol=1e-5)
    views = TenCrop(fraction=0.7)(x)
    averages = [
        model.task.average(torch.stack([model(view) for view in order], dim=1))
        for order in (views.unbind(1), views.flip(1).unbind(1))
    ]
    torch.testing.assert_close(averages[0], averages[1])
    torch.testing.assert_close(averages[0], defended(x))


def test_seeds_and_batches(photos):
    x, defense = photos(5), CropEnsemble(crops=3)
    once = defense(x, rng=3)
    assert once.shape == (5, 3, 3, 32, 40)
    assert torch.equal(once, defense(x, rng=3))
    assert not torch.equal(once, defense(x, rng=4))
    assert torch.equal(defense(x[2:4], rng=Draws.of(3, samples=range(5))[2:4]), once[2:4])


@pytest.mark.parametrize("defense", [CropEnsemble(crops=2), TenCrop()], ids=repr)
def test_gradient_and_tiny_images(defense):
    x = 0.3 + 0.4 * torch.rand(2, 1, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rng = Draws.of(0, samples=range(2))
    assert torch.autograd.gradcheck(lambda x: defense.transform(x, rng=rng[:]), x.requires_grad_())
    assert defense(torch.rand(2, 1, 1, 2)).shape[2:] == (1, 1, 2)


@pytest.mark.parametrize(
    "make", [lambda: CropEnsemble(crops=0), lambda: CropEnsemble(fraction=0), lambda: TenCrop(fraction=2)]
)
def test_bad_parameters(make):
    with pytest.raises(ConfigError, match="Expected"):
        make()
