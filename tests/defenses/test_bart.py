"""BaRT: each kind of transform against an independent library or what must hold of it, and how a barrage is drawn."""

from collections import Counter

import numpy as np
import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Draws, UnknownNameError
from foolbench.datasets import Digits
from foolbench.defenses import BaRT, adaptive
from foolbench.defenses.barrage import bart
from foolbench.defenses.barrage.colours import fewer_levels, grey, other_colours
from foolbench.defenses.barrage.contrast import equalized, stretched
from foolbench.defenses.barrage.frequencies import filtered
from foolbench.defenses.barrage.geometry import swirl, zoomed
from foolbench.defenses.barrage.grain import grainy
from skimage import color, exposure, transform

SEEDS = range(12)


def luck(seed):
    return Draws.of(seed, samples=[0])


def as_pixels(x):
    return x[0].permute(1, 2, 0).numpy()


def test_a_swirl_is_that_of_scikit_image(photos):
    x = photos(1)
    found = swirl(x, 14.5, 20.5, 1.3, 30.0)
    expected = transform.swirl(as_pixels(x), center=(20, 14), strength=1.3, radius=30, order=1, mode="edge")
    np.testing.assert_allclose(as_pixels(found), expected, atol=2e-3)


def test_zoom_looks_at_a_part_of_the_image():
    x = torch.linspace(0, 1, 224).expand(1, 1, 224, 224).contiguous()
    for seed in SEEDS:
        first, last = zoomed(x, luck(seed))[0, 0, 0, [0, -1]].tolist()
        assert 9 / 224 <= first <= 51 / 224
        assert 9 / 224 <= 1 - last <= 51 / 224


def test_levels_are_few_and_near(photos):
    x = photos(1)
    for seed in SEEDS:
        found = fewer_levels(x, luck(seed))
        counts = [len(channel.unique()) for channel in found[0]]
        assert max(counts) <= 200
        assert (found - x).abs().max() <= 0.5 / 7 + 1e-6
    ramp = torch.linspace(0, 1, 999).reshape(1, 1, 9, 111)
    assert len({len(fewer_levels(ramp, luck(seed)).unique()) for seed in SEEDS}) > 6


def test_other_colours_are_moved_in_one_space_by_little(photos):
    x, reach = photos(1), {"hsv": (0.051, 0.26, 0.26), "lab": (5.2, 2.2, 2.2)}
    moved = [other_colours(x, luck(seed)) for seed in range(40)]
    clear = (x.amax(dim=1) < 0.75) & (x.amin(dim=1) > 0.25)  # where no colour leaves what can be shown
    found = Counter()
    for one in moved:
        change = color.rgb2lab(as_pixels(one)) - color.rgb2lab(as_pixels(x))
        steady = change[clear[0].numpy()].std(axis=0).max() < 0.1
        found["lab"] += bool(steady and (abs(change[clear[0].numpy()]) < reach["lab"]).all())
    assert 4 <= found["lab"] <= 20
    one_channel = photos(1, channels=1)
    assert torch.equal(other_colours(one_channel, luck(0)), one_channel)


def test_grey_images_have_equal_channels_between_the_darkest_and_the_brightest(photos):
    x, found = photos(1), [grey(photos(1), luck(seed)) for seed in range(40)]
    for one in found:
        assert torch.equal(one[:, 0], one[:, 1])
        assert torch.equal(one[:, 0], one[:, 2])
        assert (one[:, 0] <= x.amax(dim=1) + 1e-6).all()
        assert (one[:, 0] >= x.amin(dim=1) - 1e-6).all()
    luminance = torch.from_numpy(color.rgb2gray(as_pixels(x))).float()
    close = [bool((one[0, 0] - luminance).abs().max() < 1e-5) for one in found]
    assert 3 <= sum(close) <= 20


def test_contrast_is_stretched_between_percentiles(photos):
    x = photos(1)
    for seed in SEEDS:
        low, high = (luck(seed).uniform((2,), 0, 1)[0].double() * 0.03 + torch.tensor([0.01, 0.96])).tolist()
        for before, after in zip(as_pixels(x).transpose(2, 0, 1), stretched(x, luck(seed))[0].numpy(), strict=True):
            ends = tuple(np.percentile(before, [100 * low, 100 * high]))
            np.testing.assert_allclose(after, exposure.rescale_intensity(before, ends, (0, 1)), atol=1e-4)


def test_a_histogram_is_made_flat_and_keeps_its_order():
    x = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) ** 1.5
    for seed in SEEDS:
        found = equalized(x, luck(seed))
        order = x.flatten().argsort()
        assert (found.flatten()[order].diff() >= 0).all()
        assert found.histc(4, 0, 1).div(64 * 64).sub(0.25).abs().max() < 0.08
    grey_image = torch.full((1, 3, 8, 8), 0.3)
    assert torch.equal(equalized(grey_image, luck(0)), grey_image)


def test_the_fourier_filter_keeps_low_frequencies_nearly_as_they_are():
    waves = torch.arange(64) * 2 * torch.pi / 64
    low = (0.5 + 0.3 * waves.cos()).expand(1, 1, 64, 64).contiguous()
    fine = low + 0.1 * (30 * waves).cos()
    gone = 0
    for seed in SEEDS:
        near = (filtered(low, luck(seed)) - low).abs().max()
        assert near < 0.025
        left = torch.fft.rfft(filtered(fine, luck(seed))[0, 0, 0] - 0.5).abs()[30] / 32
        assert left < 0.11
        gone += int(left < 0.01)
    assert 2 <= gone <= 10


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_no_more_than_its_kind_says(seed):
    x = torch.full((1, 3, 60, 60), 0.5)
    change = grainy(x, luck(seed)) - x
    share = float((change != 0).float().mean())
    if share < 0.5:  # salt and pepper
        assert share == pytest.approx(0.05, abs=0.01)
        assert (change[change != 0].abs() == 0.5).all()
    else:
        deviations = (0.1, (0.5 / 255) ** 0.5, 0.05)
        assert min(abs(float(change.std()) / one - 1) for one in deviations) < 0.05


def test_a_barrage_is_of_different_groups_in_random_order(monkeypatch):
    seen = []
    names = list(bart.GROUPS)
    notes = {name: (lambda x, own, name=name: seen.append(name) or x,) for name in names}
    monkeypatch.setattr(bart, "GROUPS", notes)
    count = 300
    BaRT(transforms=4)(torch.rand(count, 3, 4, 4), rng=0)
    barrages = [tuple(seen[4 * place : 4 * place + 4]) for place in range(count)]
    assert all(len(set(barrage)) == 4 for barrage in barrages)
    for place in range(4):
        often = Counter(barrage[place] for barrage in barrages)
        assert set(often) == set(names)
        assert max(often.values()) < 60  # 30 are expected


def test_every_image_has_its_own(photos):
    x = photos(1).expand(8, -1, -1, -1)
    assert len(BaRT()(x, rng=0).unique(dim=0)) == 8
    rows, streams = torch.tensor([5, 1]), Draws.of(0, samples=range(8))
    assert torch.equal(BaRT()(x, rng=streams)[rows], BaRT()(x[rows], rng=streams[rows]))


@pytest.mark.parametrize("group", bart.GROUPS)
def test_each_group_gives_images_of_any_size_and_a_gradient(group, photos):
    defense = BaRT(transforms=1, groups=(group,))
    for shape in ((3, 32, 40), (1, 8, 8)):
        x = photos(3, *shape).requires_grad_()
        outputs = defense.surrogates["steps"](x, rng=Draws.of(1, samples=range(3)))
        assert torch.equal(outputs, defense(x.detach(), rng=Draws.of(1, samples=range(3))))
        assert 0 <= outputs.detach().min() <= outputs.detach().max() <= 1
        (gradient,) = torch.autograd.grad(outputs.sum(), x)
        assert torch.isfinite(gradient).all()
        assert gradient.flatten(1).any(dim=1).all()


def test_one_that_knows_it_fools_it(digits_model):
    """Some of what it costs is chance; an attack through its steps adds most of what there is to add."""
    defense, count = BaRT(transforms=2, groups=("levels", "jpeg", "noise", "colours")), 20
    (x, _), streams = Digits().load(range(count)), Draws.of("scored", samples=range(count))
    system = defense.defend(digits_model)
    y = system.predict(x, rng=streams)
    x_adv = PGD(eps=0.25, steps=6)(adaptive(defense, digits_model, draws=2), x, y, rng=0)
    assert (system.predict(x_adv, rng=streams) != y).float().mean() > 0.85


def test_refuses_what_makes_no_sense():
    with pytest.raises(ConfigError, match="from 1 to the number of groups, 10"):
        BaRT(transforms=11)
    with pytest.raises(ConfigError, match="from 1 to the number of groups, 1"):
        BaRT(groups=("jpeg", "jpeg"), transforms=2)
    with pytest.raises(UnknownNameError, match="group of bart"):
        BaRT(groups=("jpg",))
