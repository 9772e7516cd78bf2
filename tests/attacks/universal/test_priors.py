"""The pools that a universal attack crafts on: nothing, the range of the data, or augmented data, and nothing else."""

import pytest
import torch
from foolbench.attacks.universal import priors
from foolbench.core import CraftingData, Draws, InputError, Model
from foolbench.tasks import Recognition
from torch import nn

MEAN = (0.5, 0.4, 0.6)
POOL = 96


@pytest.fixture(autouse=True)
def small_pool(monkeypatch):
    monkeypatch.setattr(priors, "POOL", POOL)


def pool_of(prior, shape=(3, 12, 12), sources=None, mean=MEAN, seed=0) -> torch.Tensor:
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, *shape))
    model = Model(net, task=Recognition(classes=2), mean=mean, shape=shape)

    def load_training():
        assert sources is not None, "a data-free prior read the task's images"
        return sources

    data = CraftingData(validation=torch.full((2, *shape), 0.5), load_training=load_training)
    return priors.crafting_pool(prior, model, data, Draws.of(seed, samples=[0]))


def flat(shape=(3, 12, 12)) -> torch.Tensor:
    return torch.tensor(MEAN).reshape(-1, 1, 1).expand(1, *shape)


@pytest.mark.parametrize(("mean", "value"), [(None, 0.0), ((0.25,), 0.25)])
def test_no_prior_is_the_image_that_the_network_sees_as_zero(mean, value):
    assert torch.equal(pool_of("none", mean=mean), torch.full((1, 3, 12, 12), value))
    assert torch.equal(pool_of("none"), flat())


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 16, 10), (1, 8, 8)], ids=str)
def test_range_prior_has_the_range_of_images(shape):
    mean = MEAN[: shape[0]]
    pool = pool_of("range", shape, mean=mean)
    assert pool.shape == (POOL, *shape)
    assert 0 <= pool.min() <= pool.max() <= 1
    torch.testing.assert_close(pool.mean(dim=(0, 2, 3)), torch.tensor(mean), rtol=0, atol=0.02)
    spread = float((pool - pool.mean(dim=(0, 2, 3), keepdim=True)).std())
    assert 0.1 * priors.RANGE_STD < spread < priors.RANGE_STD, "resizing and blur can only average the noise"
    assert len(pool.flatten(1).unique(dim=0)) > POOL / 4, "views repeat"


def test_without_a_mean_the_range_is_the_middle_of_what_images_can_be():
    pool = pool_of("range", mean=None)
    torch.testing.assert_close(pool.mean(dim=(0, 2, 3)), torch.full((3,), 0.5), rtol=0, atol=0.02)
    assert (pool == 0).float().mean() < 0.02, "around black, half of all values would be"


@pytest.mark.parametrize("shape", [(3, 12, 12), (3, 16, 10), (3, 7, 21), (3, 5, 5)], ids=str)
def test_augmentation_keeps_a_constant_image(shape):
    # what scale, rotation, blur or crop do not cover is filled with the mean, so that nothing may show
    pool = pool_of("data", shape, sources=flat(shape))
    torch.testing.assert_close(pool, flat(shape).expand_as(pool), rtol=0, atol=1e-4)


def test_augmentation_mirrors_moves_and_shrinks():
    ramp = torch.linspace(0.1, 0.9, 24).expand(1, 3, 24, 24)
    pool = pool_of("data", sources=ramp, mean=(0.0,))
    covered = (pool[:, 0] > 0.05).float().mean(dim=(1, 2))
    assert 0.04 < (covered < 0.99).float().mean() < 0.3, "one view in six is smaller than the input"
    slope = pool[:, 0, 2, 7] - pool[:, 0, 2, 1]
    assert 0.4 < (slope < 0).float().mean() < 0.6, "half of the views is mirrored"
    assert 0 <= pool.min() <= pool.max() <= 0.9 + 1e-5


def test_data_prior_uses_all_sources_and_only_them():
    levels = torch.linspace(0.1, 0.9, 8)
    pool = pool_of("data", sources=levels.reshape(-1, 1, 1, 1).expand(-1, 3, 12, 12), mean=(0.0,))
    centre = pool[:, 0, 4, 4]  # of the smallest view, which lies in the upper left corner
    distance = (centre[:, None] - levels).abs()
    assert distance.amin(dim=1).max() < 1e-4
    assert (torch.bincount(distance.argmin(dim=1), minlength=8) > POOL / 8 / 3).all()


def test_less_background_is_a_quarter_of_the_images_and_the_one_with_most_on_it():
    levels = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    maps = torch.full((8, 4, 5), 2)
    for image, background in enumerate([20, 3, 9, 4, 19, 12, 20, 5]):  # of 20 pixels
        maps[image].view(-1)[:background] = 1
    images = levels.reshape(-1, 1, 1, 1).expand(-1, 3, 12, 12)
    chosen = priors.with_less_background(images, maps, background=1)
    assert chosen[:, 0, 0, 0].tolist() == pytest.approx([0.2, 0.4])
    centre = pool_of("less-background", sources=chosen, mean=(0.0,))[:, 0, 4, 4]
    assert (centre[:, None] - levels[[1, 3]]).abs().amin(dim=1).max() < 1e-4
    with pytest.raises(InputError, match="maps"):
        priors.with_less_background(images, None, background=1)


@pytest.mark.parametrize("prior", ["range", "data"])
def test_pool_is_the_seeds(prior):
    sources = torch.rand(4, 3, 15, 15, generator=torch.Generator().manual_seed(0))
    first, again, other = (pool_of(prior, sources=sources, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "sources",
    [torch.full((2, 3, 12, 12), 128, dtype=torch.uint8), torch.full((2, 3, 12, 12), 128.0), torch.zeros(2, 1, 12, 12)],
    ids=["uint8", "not in [0, 1]", "one channel"],
)
def test_training_images_that_are_no_images(sources):
    # the iterates of an attack are not checked: values up to 255 would silently drown the perturbation
    with pytest.raises(InputError):
        pool_of("data", sources=sources)
