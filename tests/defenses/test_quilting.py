"""Quilting gives an image back from its own patches, and otherwise what the bank holds."""

import pytest
import torch
from foolbench.core import ConfigError, Draws, FittedTransform, InputError, Learned, LearningData, Model
from foolbench.defenses import Quilting, quilting
from foolbench.defenses._patch_search import indexed, nearest
from foolbench.defenses.quilting import _mixed
from foolbench.tasks import Recognition

UNASKED = Model(torch.nn.Flatten(), task=Recognition(classes=2))  # what a bank holds depends on no network


def fitted(defense: Quilting, images: torch.Tensor, seed: int = 0) -> FittedTransform:
    return defense.fit(images, model=UNASKED, seed=seed)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("overlap", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(32, 40), (5, 5), (6, 9), (17, 23), (5, 12)])
def test_an_image_comes_back_from_its_own_patches(photos, channels, overlap, height, width):
    x = photos(2, channels, height, width)
    assert torch.equal(fitted(Quilting(neighbours=1, overlap=overlap), x)(x), x)


def test_dark_and_flat_images_come_back_too():
    x = torch.randint(0, 3, (2, 3, 24, 24), generator=torch.Generator().manual_seed(0)) / 255
    assert torch.equal(fitted(Quilting(neighbours=1), x)(x), x)


@pytest.mark.parametrize(
    ("side", "starts"), [(5, [0]), (6, [0, 1]), (8, [0, 3]), (9, [0, 3, 4]), (224, [*range(0, 219, 3), 219])]
)
def test_windows_reach_the_border(side, starts):
    assert Quilting()._starts(side) == starts


def test_every_pixel_comes_from_the_bank(photos):
    defense = fitted(Quilting(), photos(3, seed=5))
    values = defense.learned["patches"].unique()
    assert torch.isin(defense(photos(2, 3, 31, 38)), values).all()


def test_learns_distinct_windows_of_the_training_images(photos):
    images = photos(3, 1, 20, 24)
    assert fitted(Quilting(), images).learned["patches"].shape == (3 * 16 * 20, 1, 5, 5)
    bank = fitted(Quilting(patches=500), images).learned["patches"]
    everything = images.unfold(2, 5, 1).unfold(3, 5, 1).reshape(-1, 25)
    matches = (torch.cdist(bank.flatten(1), everything, compute_mode="donot_use_mm_for_euclid_dist") == 0).nonzero()
    assert bank.shape == (500, 1, 5, 5)
    assert matches[:, 0].unique().numel() == matches[:, 1].unique().numel() == 500
    assert torch.equal(bank, fitted(Quilting(patches=500), images).learned["patches"])
    assert not torch.equal(bank, fitted(Quilting(patches=500), images, seed=1).learned["patches"])


def test_one_of_the_nearest_at_random(photos):
    x = photos(4, seed=3)
    single, several = (fitted(Quilting(neighbours=k), photos(4)) for k in (1, 10))
    assert torch.equal(single(x, rng=0), single(x, rng=1))
    assert torch.equal(several(x, rng=1), several(x, rng=1))
    assert not torch.equal(several(x, rng=0), several(x, rng=1))
    assert (single(x) - x).abs().mean() < (several(x) - x).abs().mean() < 0.15


def test_an_image_depends_on_its_own_stream_only(photos):
    x, defense, rng = photos(5, 3, 40, 33), fitted(Quilting(), photos(4, seed=2)), Draws.of(3, samples=range(5))
    together = defense(x, rng=rng[:])
    assert torch.equal(defense(x.flip(0), rng=rng[torch.arange(4, -1, -1)]), together.flip(0))
    for row in range(5):
        assert torch.equal(defense(x[row : row + 1], rng=rng[row : row + 1])[0], together[row])
    stored = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(defense(stored, rng=rng[:]), together)


def test_a_constant_image_stays_where_the_bank_has_its_patch():
    defense = fitted(Quilting(neighbours=1), torch.stack([torch.full((3, 8, 8), value / 4) for value in range(5)]))
    x = torch.full((1, 3, 13, 9), 0.5)
    assert torch.equal(defense(x), x)


def test_images_that_do_not_fit(photos):
    defense = fitted(Quilting(), photos(2))
    with pytest.raises(InputError, match=r"at least 5 pixels a side, got \(4, 9\)"):
        defense(photos(1, 3, 9, 9)[..., :4, :])
    with pytest.raises(InputError, match=r"shape \(3, any, any\), as learned"):
        defense(photos(1, 1))
    with pytest.raises(InputError, match="at least 50 pixels"):
        Quilting(size=50).learn(LearningData(images=photos(1), model=UNASKED), rng=Draws.of(0, samples=[0]))


def test_takes_a_bank_from_elsewhere(photos):
    defense = FittedTransform(configuration=Quilting(size=3), learned=Learned(indexed(torch.rand(50, 3, 3, 3))))
    assert defense(photos(1)).shape == (1, 3, 32, 40)


@pytest.mark.parametrize("neighbours", [1, 3, 12])
def test_the_soft_surrogate_has_the_value_of_the_quilt(photos, neighbours):
    x, defense = photos(2, seed=3).requires_grad_(), fitted(Quilting(neighbours=neighbours), photos(4))
    soft = defense.surrogates["soft"](x, rng=Draws.of(0, samples=range(2)))
    assert torch.equal(soft.detach(), defense.transform(x, rng=Draws.of(0, samples=range(2))))
    (gradient,) = torch.autograd.grad(soft.square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert (gradient.flatten(1).norm(dim=1) > 0).all()


def test_mixtures_of_patches_lean_towards_the_nearest():
    near = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).expand(3, 4, 2).double()
    queries = torch.tensor([[0.5, 0.5], [0.1, 0.1], [0.9, 0.5]]).double().requires_grad_()
    mixed = _mixed(queries, near)
    torch.testing.assert_close(mixed[0].detach(), torch.full((2,), 0.5).double())
    assert (mixed[1] < 0.5).all()
    assert mixed[2, 0] > 0.5
    (slope,) = torch.autograd.grad(mixed[2, 0], queries)
    assert slope[2, 0] > 0  # moving on towards a patch brings its mixture nearer
    assert not slope[:2].any()


def test_a_patch_that_the_bank_has_many_times_leaves_the_gradient_finite():
    x = torch.full((1, 3, 9, 9), 0.5).requires_grad_()
    defense = fitted(Quilting(), torch.full((2, 3, 12, 12), 0.5))
    (gradient,) = torch.autograd.grad(defense.surrogate(x, rng=Draws.of(0, samples=[0])).sum(), x)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("key", "value"), [("size", 0), ("overlap", -1), ("overlap", 5), ("neighbours", 0), ("patches", 0)]
)
def test_bad_parameters(key, value):
    with pytest.raises(ConfigError, match=f"Expected {key}"):
        Quilting(**{key: value})


def test_several_draws_of_an_image_look_for_its_patches_once(photos, monkeypatch):
    """Which are the same for all of them."""
    defense, x = fitted(Quilting(patches=500), photos(4)), photos(2, seed=9)
    expected = [defense(x, rng=seed) for seed in range(3)]
    searched = []
    monkeypatch.setattr(quilting, "nearest", lambda *given: searched.append(given) or nearest(*given))
    defense(photos(2, seed=10), rng=0)
    found = [defense(x, rng=seed) for seed in range(3)]
    assert all(map(torch.equal, found, expected))
    assert not torch.equal(found[0], found[1])
    assert len(searched) == 2
    defense(x[:1], rng=0)
    assert len(searched) == 3
