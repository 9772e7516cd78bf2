"""A chain is its steps one after the other, for images as for models, and its parts learn at their places."""

from dataclasses import dataclass, replace

import pytest
import torch
from foolbench.core import ConfigError, Defense, Draws, FittedNetworkDefense, InputError, defenses
from foolbench.datasets import Digits
from foolbench.defenses import (
    JPEG,
    KWTA,
    PCA,
    BitDepth,
    Compose,
    GaussianSmoothing,
    OddsAreOdd,
    RandomNoise,
    REGroup,
    TenCrop,
)
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


def test_its_transforms_learn_as_if_they_stood_alone(photos):
    images, part = photos(20), PCA(components=5)
    chain = Compose(steps=(GaussianSmoothing(sigma=2.0), part, JPEG())).fit(images, model=model())
    assert [type(step) for step in chain.steps] == [GaussianSmoothing, type(part.fit(images, model=model())), JPEG]
    assert chain.steps[1].learned.sha == part.fit(images, model=model()).learned.sha


def decisions(chain):
    return [step.learned for step in chain.steps if isinstance(step, FittedNetworkDefense)]


def test_a_detector_learns_from_what_the_steps_before_it_show(photos, digits_model):
    """And from the model behind the steps after it, all of them fitted."""
    images, odds, blur = Digits().training(250)[0].float() / 255, OddsAreOdd(draws=2), GaussianSmoothing()
    pca = PCA(components=9)
    fitted = pca.fit(images, model=digits_model)
    chain = Compose(steps=(pca, Compose(steps=(odds, blur)))).fit(images, model=digits_model)
    assert decisions(chain) == [odds.fit(fitted(images), model=blur.defend(digits_model)).learned]
    assert decisions(chain) != [odds.fit(images, model=digits_model).learned]


def test_steps_in_the_network_belong_after_those_that_learn_from_it(digits_model):
    images, kwta, regroup = Digits().training(250)[0].float() / 255, KWTA(gamma=0.4), REGroup()
    after = Compose(steps=(regroup, kwta)).fit(images, model=digits_model)
    assert decisions(after) == [regroup.fit(images, model=kwta.defend(digits_model)).learned]
    with pytest.raises(ConfigError, match=r"expected KWTA.* behind it, got it before"):
        Compose(steps=(kwta, Compose(steps=(JPEG(), regroup))))
    fitted = regroup.fit(images, model=kwta.defend(digits_model))
    assert Compose(steps=(kwta, fitted)).defend(digits_model)(images[:2]).shape == (2, 10)


@dataclass(frozen=True, kw_only=True)
class Around(Defense):
    """Does what another defense does."""

    inner: Defense
    differentiable = randomized = False

    def with_learned(self, learned):
        return replace(self, inner=self.inner.with_learned(learned))

    def defend(self, model):
        return self.inner.defend(model)


def test_a_chain_in_another_defense_is_at_its_place_too(digits_model):
    images, odds, blur, bits = (
        Digits().training(250)[0].float() / 255,
        OddsAreOdd(draws=2),
        GaussianSmoothing(),
        BitDepth(),
    )
    (plain,) = decisions(Compose(steps=(bits, odds, blur)).fit(images, model=digits_model))
    wrapped = Compose(steps=(bits, Around(inner=Compose(steps=(odds,))), blur)).fit(images, model=digits_model)
    assert decisions(wrapped.steps[1].inner) == [plain]
    pca = PCA(components=9)
    wrapped = Compose(steps=(bits, Around(inner=pca))).fit(images, model=digits_model)
    assert wrapped.steps[1].inner.learned == pca.fit(images, model=digits_model).learned


def test_of_many_views_a_detector_learns_from_each_in_turn(digits_model):
    images, odds = Digits().training(250)[0].float() / 255, OddsAreOdd(draws=2)
    views, rows = TenCrop()(images), torch.arange(250)
    chain = Compose(steps=(TenCrop(), odds)).fit(images, model=digits_model)
    assert decisions(chain) == [odds.fit(views[rows, rows % 10], model=digits_model).learned]


def test_what_decides_itself_stands_around_no_detector(digits_model):
    images, detector = Digits().training(250)[0].float() / 255, OddsAreOdd(draws=2)
    wrong = Compose(steps=(JPEG(), Compose(steps=(REGroup(), detector))))
    with pytest.raises(ConfigError, match="put the step that rejects before it"):
        wrong.check_task(digits_model.task)
    with pytest.raises(ConfigError, match="put the step that rejects before it"):
        wrong.fit(images, model=digits_model)
    right = Compose(steps=(detector, REGroup())).fit(images, model=digits_model)
    assert right.defend(digits_model)(images[:3], rng=streams(3)).shape == (3, 11)


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
