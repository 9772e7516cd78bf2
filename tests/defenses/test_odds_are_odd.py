"""The Odds Are Odd: shifts of linear models in closed form, false positives as stated, what is not flagged stays."""

import math

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Draws, Model
from foolbench.datasets import Digits
from foolbench.defenses import JPEG, BitDepth, Compose, OddsAreOdd, RandomNoise, TrainMean
from foolbench.defenses.odds_are_odd import _evidence
from foolbench.evaluation.leaderboard.stats import estimate
from torch import nn

SHAPE = (1, 4, 4)


def streams(count, seed=0):
    return Draws.of(seed, samples=range(count))


def grey(count):
    return torch.full((count, *SHAPE), 0.5)


def shifts(defense, model, x):
    outputs = model(x)
    return defense._shifts(model, x, outputs, streams(len(x)), defense.draws), outputs.argmax(dim=1)


@pytest.fixture(scope="module")
def digits():
    images, labels = Digits().training(1200)
    return images.float() / 255, labels


@pytest.mark.parametrize("noise", ["normal", "uniform", "signs"])
def test_shifts_of_a_linear_model_have_their_closed_form(linear_model, noise):
    """Mean 0, variance scale^2 |w_z - w_y|^2 / draws: the noise has mean 0, and grey images are not clipped."""
    model, x = linear_model(3, SHAPE), grey(1000)
    model.net.bias.data[1] += 1
    found, predicted = shifts(OddsAreOdd(noise=noise, scales=(0.05, 0.1), draws=4), model, x)
    assert (predicted == 1).all()
    lengths = (model.net.weight - model.net.weight[1]).norm(dim=1)
    for place, scale in enumerate((0.05, 0.1)):
        expected = scale * lengths / math.sqrt(4)
        torch.testing.assert_close(found[:, place].std(dim=0), expected, rtol=0.1, atol=0)
        assert (found[:, place].mean(dim=0).abs() <= 4 * expected / math.sqrt(1000)).all()
    assert not found[:, :, 1].any()


def test_a_linear_model_has_no_odd_odds(linear_model, mid_images):
    """Its shifts are those of the noise, whatever the image: the attacked ones are flagged no more than others."""
    model, x = linear_model(4, SHAPE), mid_images(600, SHAPE)
    fitted = OddsAreOdd(scales=(0.02,), draws=4, false_positives=0.2).fit(mid_images(800, SHAPE, seed=2), model=model)
    system, x_adv = fitted.defend(model), PGD(eps=0.1, steps=5)(model, x, rng=0)
    assert (model.predict(x_adv) != model.predict(x)).float().mean() > 0.5
    clean, attacked = (float((system.predict(one, rng=streams(600)) == 4).float().mean()) for one in (x, x_adv))
    assert clean == pytest.approx(0.2, abs=0.06)
    assert attacked == pytest.approx(clean, abs=0.06)


def test_adding_to_all_logits_changes_no_shift(digits_model):
    x, defense = Digits().load(range(20))[0], OddsAreOdd(draws=3)

    class Raised(nn.Module):
        def forward(self, given):
            return digits_model.net(given) + given.sum(dim=(1, 2, 3))[:, None]

    raised = Model(Raised(), task=digits_model.task, mean=0.5, std=0.5, shape=(1, 8, 8))
    torch.testing.assert_close(shifts(defense, raised, x)[0], shifts(defense, digits_model, x)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("standardized", [True, False])
def test_false_positives_on_fresh_images_are_as_stated(digits_model, digits, standardized):
    defense = OddsAreOdd(scales=(0.1,), draws=4, false_positives=0.1, standardized=standardized)
    system = defense.fit(*digits, model=digits_model).defend(digits_model)
    x, count = Digits().load(range(400))[0], 400
    rejected = system.predict(x, rng=streams(count)) == system.task.rejected
    rate = estimate(rejected.float().numpy(), proportion=True)
    assert rate.low <= 0.1 <= rate.high


@pytest.mark.parametrize("place", [0, 1, 2])
def test_false_positives_of_a_chain_are_as_stated_wherever_it_stands(digits_model, digits, place):
    """Coarse noise moves the odds of every image, so a threshold for the network alone would reject many."""
    steps = [RandomNoise(), BitDepth(bits=1)]
    steps.insert(place, OddsAreOdd(scales=(0.1,), draws=4, false_positives=0.1))
    known, fresh = digits[0][:800], digits[0][800:]
    system = Compose(steps=steps).fit(known, model=digits_model).defend(digits_model)
    rejected = system.predict(fresh, rng=streams(400)) == system.task.rejected
    assert float(rejected.float().mean()) == pytest.approx(0.1, abs=0.05)


def test_a_higher_rate_rejects_more(digits_model, digits):
    x, _ = Digits().load(range(100))
    facts = {"scales": (0.1,), "draws": 2}
    few, many = (
        OddsAreOdd(false_positives=rate, **facts).fit(*digits, model=digits_model).defend(digits_model)
        for rate in (0.02, 0.3)
    )
    few, many = (system.predict(x, rng=streams(100)) == 10 for system in (few, many))
    assert (many >= few).all()
    assert many.sum() > few.sum()


def test_correction_changes_what_would_be_rejected_and_nothing_else(digits_model, digits):
    """What is flagged gets the class whose odds have shifted most, as the standardised shifts say."""
    facts = {"scales": (0.1,), "draws": 2, "false_positives": 0.2}
    x = PGD(eps=0.15, steps=5)(digits_model, Digits().load(range(80))[0], rng=0)
    rejecting = OddsAreOdd(**facts).fit(*digits, model=digits_model)
    correcting = OddsAreOdd(**facts, detected="correct").fit(*digits, model=digits_model)
    bare = digits_model.predict(x)
    answers, corrected = (fitted.defend(digits_model).predict(x, rng=streams(80)) for fitted in (rejecting, correcting))
    flagged = answers == 10
    assert 0.1 < flagged.float().mean() < 0.9
    assert torch.equal(corrected[~flagged], bare[~flagged])
    assert (corrected[flagged] != bare[flagged]).all()
    inner = streams(80).fork(0)  # those of the outermost shell
    found = rejecting.configuration._shifts(digits_model, x, digits_model(x), inner, 2)
    evidence = _evidence(digits_model(x), found, rejecting.learned)
    assert torch.equal(corrected[flagged], evidence.argmax(dim=1)[flagged])
    assert torch.equal(flagged, evidence.amax(dim=1) > rejecting.learned["threshold"])


def test_it_needs_its_draws_and_the_image_itself(digits_model, digits):
    fitted = OddsAreOdd(scales=(0.05, 0.1), draws=3, training_images=64, false_positives=0.05).fit(
        *digits, model=digits_model
    )
    x, before = Digits().load(range(6))[0], digits_model.passes.forwards
    fitted.defend(digits_model).predict(x, rng=streams(6))
    assert digits_model.passes.forwards - before == 6 * (1 + 2 * 3)


def test_a_class_that_is_rarely_seen_is_judged_by_all(linear_model):
    model = linear_model(5, SHAPE)
    fitted = OddsAreOdd(draws=2).fit(grey(3) * torch.tensor([0.5, 1, 1.5]).reshape(3, 1, 1, 1), model=model)
    mean, deviation = fitted.learned["mean"], fitted.learned["deviation"]
    assert torch.isfinite(mean).all()
    assert (deviation > 0).all()


def test_it_stands_in_a_chain_but_in_no_other_detector(digits_model, digits):
    fitted = OddsAreOdd(draws=2).fit(*digits, model=digits_model)
    chain = Compose(steps=(JPEG(), fitted)).defend(digits_model)
    assert chain(Digits().load(range(3))[0], rng=streams(3)).shape == (3, 11)
    with pytest.raises(ConfigError, match="decides between the classes itself"):
        fitted.defend(fitted.defend(digits_model))
    with pytest.raises(ConfigError, match="one step at most that may reject"):
        Compose(steps=(OddsAreOdd(), JPEG(), OddsAreOdd(draws=2)))


@pytest.mark.parametrize("known", [True, False])
def test_what_answers_without_looking_rejects_nothing(digits_model, digits, known):
    images, labels = digits
    chain = Compose(steps=(TrainMean(), OddsAreOdd(draws=2)))
    fitted = chain.fit(images, labels if known else None, model=digits_model)
    answers = fitted.defend(digits_model)(Digits().load(range(3))[0], rng=streams(3))
    assert answers.shape == (3, 11)
    assert set(answers.argmax(dim=1).tolist()).isdisjoint({10})


WRONG = [{"noise": "pink"}, {"detected": "shrug"}, {"scales": ()}, {"scales": (0.0,)}, {"draws": 0}]


@pytest.mark.parametrize(
    "facts", [*WRONG, {"false_positives": 0.0}, {"training_images": 0}, {"training_images": 197}], ids=str
)
def test_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match=next(iter(facts))):
        OddsAreOdd(**facts)


def test_refuses_a_network_of_other_classes(digits_model, digits, linear_model):
    fitted = OddsAreOdd(draws=2).fit(*digits, model=digits_model)
    with pytest.raises(ConfigError, match="has learned from another network"):
        fitted.defend(linear_model(3, (1, 8, 8)))(torch.rand(2, 1, 8, 8), rng=streams(2))
