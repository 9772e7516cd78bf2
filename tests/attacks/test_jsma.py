"""JSMA: the values that a search over all pairs chooses, the paper's invariants, and agreement with torchattacks."""

from itertools import combinations

import pytest
import torch
from foolbench.attacks.jsma import JSMA, best_pair
from foolbench.core import ConfigError, Model
from foolbench.core.norms import size
from foolbench.datasets.digits import Digits
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (2, 3, 4)
VALUES = 24
VARIANTS = [{"pairs": pairs, "theta": theta} for pairs in (True, False) for theta in (1.0, -1.0, 0.3)]


def saliency(towards, against, theta):
    """Papernot et al.'s equations 8 and 9, of the sums over the chosen values."""
    right = (towards > 0 and against < 0) if theta > 0 else (towards < 0 and against > 0)
    return abs(towards * against) if right else 0.0


def by_hand(model, image, leave, reach, *, theta, pairs, gamma, targeted):
    """The greedy search over all pairs, one image at a time, in plain Python. None where it gets stuck."""
    towards = model.net.weight[reach].double().tolist()
    against = (model.net.weight.sum(dim=0) - model.net.weight[reach]).double().tolist()
    flat, changed, count = image.flatten().clone(), set(), 2 if pairs else 1
    while True:
        predicted = int(model.predict(flat.reshape(1, *SHAPE)))
        if predicted == reach if targeted else predicted != leave:
            return flat.reshape(SHAPE)
        free = [i for i in range(VALUES) if (flat[i] < 1 if theta > 0 else flat[i] > 0)]
        if len(changed) + count > gamma * VALUES:
            free = [i for i in free if i in changed]
        scores = {
            choice: saliency(sum(towards[i] for i in choice), sum(against[i] for i in choice), theta)
            for choice in combinations(free, count)
        }
        chosen = max(scores, key=scores.__getitem__, default=None)
        if chosen is None or scores[chosen] == 0:
            return None
        for i in chosen:
            flat[i] = (flat[i] + theta).clamp(0, 1)
            changed.add(i)


@pytest.mark.parametrize("facts", VARIANTS, ids=str)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_values_are_those_of_a_search_over_all(linear_model, facts, targeted):
    model = linear_model(5, SHAPE)
    model.net.bias.data[:2] += 6  # so that it takes several rounds to leave these classes
    x = torch.rand(24, *SHAPE, generator=torch.Generator().manual_seed(2))
    x = x.masked_fill(x < 0.1, 0.0).masked_fill(x > 0.9, 1.0)
    y = model.predict(x)
    reach = (y + 1 + torch.arange(24) % 4) % 5 if targeted else model(x).topk(2).indices[:, 1]
    found = JSMA(gamma=0.5, targeted=targeted, **facts)(model, x, reach if targeted else y)
    searched = [
        by_hand(model, image, leave, goal, gamma=0.5, targeted=targeted, **facts)
        for image, leave, goal in zip(x, y.tolist(), reach.tolist(), strict=True)
    ]
    expected = torch.stack([image if result is None else result for image, result in zip(x, searched, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert sum(result is not None for result in searched) > 4
    assert len(size(found - x, "l0").unique()) > 2, "every image takes as many rounds: too easy"


@pytest.mark.parametrize("columns", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("kind", ["gaussian", "ties", "closed", "trade-off"])
def test_best_pair_is_the_best_of_all_pairs(columns, kind):
    gain, relief = torch.randn(2, 300, columns, generator=torch.Generator().manual_seed(columns))
    if kind == "ties":
        gain, relief = gain.round(), relief.round()
    if kind == "closed":
        closed = torch.rand(300, columns, generator=torch.Generator().manual_seed(1)) < 0.5
        gain, relief = (part.masked_fill(closed, -torch.inf) for part in (gain, relief))
    if kind == "trade-off":  # no column dominates another
        relief = 1 - gain
    check_best(gain, relief)


def test_best_pair_of_thousands():
    for against in (0.0, 0.9, -0.9):
        gain, noise = torch.randn(2, 2, 1000, generator=torch.Generator().manual_seed(0))
        check_best(gain, against * gain + (1 - against**2) ** 0.5 * noise)


def check_best(gain, relief):
    gains, reliefs = (part[:, :, None] + part[:, None, :] for part in (gain, relief))
    every = torch.where((gains > 0) & (reliefs > 0), gains.double() * reliefs, 0.0).triu(1)
    pair, found = best_pair(gain, relief)
    assert torch.equal(found, every.flatten(1).amax(dim=1))
    chosen = found > 0
    first, second = pair.amin(dim=1), pair.amax(dim=1)
    assert torch.equal(every[torch.arange(len(pair)), first, second][chosen], found[chosen])


@pytest.mark.parametrize("facts", VARIANTS, ids=str)
@pytest.mark.parametrize("gamma", [0.07, 0.145, 1.0])
def test_only_a_part_changes_and_in_one_direction(digits_model, facts, gamma):
    x, _ = Digits().load(range(24))
    y = digits_model.predict(x)
    adversarial = JSMA(gamma=gamma, **facts)(digits_model, x, y)
    step = adversarial - x
    assert size(step, "l0").max() <= gamma * 64
    assert (step * facts["theta"] >= 0).all()
    fooled = digits_model.predict(adversarial) != y
    assert fooled.any()
    assert torch.equal(adversarial[~fooled], x[~fooled])
    if abs(facts["theta"]) == 1:
        assert (adversarial[step != 0] == (1.0 if facts["theta"] > 0 else 0.0)).all()


def test_targets_are_reached(digits_model):
    x, _ = Digits().load(range(48))
    target = (digits_model.predict(x) + 1 + torch.arange(48) % 9) % 10
    adversarial = JSMA(targeted=True, gamma=0.5)(digits_model, x, target)
    changed = (adversarial != x).flatten(1).any(dim=1)
    assert (digits_model.predict(adversarial)[changed] == target[changed]).all()
    assert changed.float().mean() > 0.5


@pytest.mark.parametrize("pairs", [False, True])
def test_an_image_does_not_depend_on_its_batch(digits_model, pairs):
    x, _ = Digits().load(range(6))
    y = digits_model.predict(x)
    attack = JSMA(pairs=pairs)
    alone = torch.cat([attack(digits_model, x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(alone, attack(digits_model, x, y), rtol=0, atol=1e-6)


@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_done_stays_and_costs_one_pass(linear_model, mid_images, targeted):
    model, x = linear_model(3, SHAPE), mid_images(8, SHAPE)
    predicted = model.predict(x)
    model.passes.forwards = 0
    assert torch.equal(JSMA(targeted=targeted)(model, x, predicted if targeted else (predicted + 1) % 3), x)
    assert (model.passes.forwards, model.passes.backwards) == (8, 0)


@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_flat_and_all_but_flat_models(linear_model, mid_images, scale):
    model, x = linear_model(3, SHAPE), mid_images(6, SHAPE)
    whole = JSMA(gamma=0.5)(model, x)
    model.net.weight.data *= scale
    model.net.bias.data *= scale
    found = JSMA(gamma=0.5)(model, x, None if scale else torch.zeros(6, dtype=torch.int64))
    assert torch.equal(found, whole if scale else x)


def test_two_classes_of_probabilities(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(6, SHAPE)
    soft = Model(nn.Sequential(model.net, nn.Softmax(dim=1)), task=Recognition(classes=2))
    adversarial = JSMA(gamma=1)(soft, x)
    assert (soft.predict(adversarial) != soft.predict(x)).all()


@pytest.mark.parametrize("facts", [{"theta": 0.0}, {"theta": -1.5}, {"gamma": 0.0}, {"gamma": 1.1}, {"norm": "l2"}])
def test_refused(facts):
    with pytest.raises(ConfigError):
        JSMA(**facts)


def test_as_torchattacks(digits_model, as_module, peer):
    torchattacks = peer("torchattacks")
    x, _ = Digits().load(range(24))
    target = (digits_model.predict(x) + 1) % 10  # its only goal
    # only theta > 0: for theta < 0 its saliency is negative, and the largest entry is that of no pair
    theirs = torchattacks.JSMA(as_module(digits_model), theta=1.0, gamma=0.25)(x, digits_model.predict(x))
    ours = JSMA(gamma=0.25, targeted=True)(digits_model, x, target)
    reached = [digits_model.predict(adversarial) == target for adversarial in (ours, theirs)]
    assert 0.1 < reached[1].float().mean() < 1
    assert (reached[0] | ~reached[1]).all()
    torch.testing.assert_close(ours[reached[1]], theirs[reached[1]], rtol=0, atol=1e-6)
