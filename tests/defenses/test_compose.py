"""A chain is its steps one after the other, for images as for models, and its parts learn as if they stood alone."""

import pytest
import torch
from foolbench.core import ConfigError, Draws, InputError, defenses
from foolbench.defenses import JPEG, PCA, Compose, GaussianSmoothing, RandomNoise, TenCrop
from foolbench.evaluation.conformance import model, streams


def test_called_it_gives_what_its_steps_give(photos):
    x = photos()
    assert torch.equal(Compose(steps=(GaussianSmoothing(), JPEG()))(x), JPEG()(GaussianSmoothing()(x)))
    assert torch.equal(Compose(steps=(JPEG(), GaussianSmoothing()))(x), GaussianSmoothing()(JPEG()(x)))


def test_called_it_gives_what_the_network_sees(photos):
    x, chain = photos(), Compose(steps=(RandomNoise(), Compose(steps=(JPEG(), RandomNoise()))))
    seen = chain(x, rng=streams(4))
    assert torch.equal(chain.defend(model())(x, rng=streams(4)), model()(seen))
    noise = [RandomNoise()(torch.full_like(x, 0.5), rng=streams(4).fork(place)) - 0.5 for place in (0, 2)]
    torch.testing.assert_close(seen, (JPEG()((x + noise[0]).clamp(0, 1)) + noise[1]).clamp(0, 1), rtol=0, atol=1e-6)
    assert torch.equal(chain(x, rng=3), chain(x, rng=Draws.of(3, samples=range(4))))


def test_views_of_an_image_stay_together(photos):
    x = photos(2)
    views = Compose(steps=(TenCrop(), JPEG()))(x)
    assert views.shape == (2, 10, 3, 32, 40)
    assert torch.equal(views, JPEG()(TenCrop()(x).flatten(0, 1)).unflatten(0, (2, 10)))


def test_refuses_what_is_no_image_and_what_has_not_learned(photos):
    with pytest.raises(InputError, match="in \\[0, 1\\]"):
        Compose(steps=(JPEG(),))(photos() * 255)
    with pytest.raises(ConfigError, match="call fit"):
        Compose(steps=(JPEG(), PCA()))(photos())


def test_its_parts_learn_as_if_they_stood_alone(photos):
    images, part = photos(20), PCA(components=5)
    chain = Compose(steps=(GaussianSmoothing(sigma=2.0), part, JPEG())).fit(images, model=model())
    assert [type(step) for step in chain.steps] == [GaussianSmoothing, type(part.fit(images, model=model())), JPEG]
    assert chain.steps[1].learned.sha == part.fit(images, model=model()).learned.sha


def test_recipes_give_tables(photos):
    chain = defenses.create("compose", {"steps": [{"name": "gaussian", "sigma": 2.0}, {"name": "jpeg"}]})
    assert chain == Compose(steps=(GaussianSmoothing(sigma=2.0), JPEG()))


@pytest.mark.parametrize("step", [JPEG(), "jpeg", {"quality": 3}, {"name": 3}], ids=repr)
def test_what_is_no_table_is_refused(step):
    with pytest.raises(ConfigError, match=r"a table with a name and its parameters, got .*Compose\(steps"):
        defenses.create("compose", {"steps": [step]})


@pytest.mark.parametrize("steps", [(), ("jpeg",)])
def test_it_is_made_of_defenses(steps):
    with pytest.raises(ConfigError, match="Expected"):
        Compose(steps=steps)
