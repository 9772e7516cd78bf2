"""REGroup against the arithmetic of its authors' demo, written as loops, and what must hold of it."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Model, Task, UnknownNameError
from foolbench.core.seeding import Draws
from foolbench.datasets import Digits
from foolbench.defenses import KWTA, REGroup, adaptive
from foolbench.defenses._borda import borda, divergences, soft_borda
from foolbench.defenses.regroup import _distributions
from foolbench.tasks import Recognition
from scipy.stats import entropy, rankdata
from torch import nn


@pytest.fixture(scope="module")
def digits(digits_model):
    images, labels = Digits().training(600)
    x, y = Digits().load(range(64))
    return REGroup(max_clean_drop=100).fit(images.float() / 255, labels, model=digits_model), x, y


def pre_activations(net, x):
    """Outputs of the convolutions and linear layers, each (N, C, ...), by hooks."""
    found = []
    layers = [layer for layer in net if isinstance(layer, nn.Conv2d | nn.Linear)]
    handles = [
        layer.register_forward_hook(lambda layer, given, output: found.append(output.numpy())) for layer in layers
    ]
    net(x)
    for handle in handles:
        handle.remove()
    return found


def pmf(features, sign):
    """Of one image's (C, ...): the sums of its positive, or negative, values."""
    sums = np.array(
        [channel[sign * channel > 0].sum(dtype=np.float64) for channel in features.reshape(len(features), -1)]
    )
    mass = np.abs(sums) + 1e-20
    return mass / mass.sum()


def test_the_outputs_are_those_of_the_demo(digits_model, digits):
    fitted, x, _ = digits
    layers = pre_activations(digits_model.net, (x[:8] - 0.5) / 0.5)
    expected = np.zeros((8, 10))
    for place, features in enumerate(layers):
        prototypes = fitted.learned[str(place)].numpy()
        for image in range(8):
            for which, sign in enumerate((1, -1)):
                found = pmf(features[image], sign)
                kl = np.array([entropy(prototypes[which, label], found) for label in range(10)])
                similarity = np.exp(-kl) / np.exp(-kl).sum()
                expected[image] += rankdata(similarity if (similarity > 0).all() else -kl)
    found = fitted.defend(digits_model)(x[:8]).double().numpy() * 2 * len(layers)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    np.testing.assert_allclose(found.sum(axis=1), 2 * len(layers) * 55, rtol=1e-6)


def test_prototypes_are_the_confident_mean_of_what_is_classified_correctly(digits_model, digits):
    fitted, _, _ = digits
    images, labels = (part[:600] for part in Digits().training(600))
    x = images.float() / 255
    chances = digits_model(x).softmax(dim=1)
    features = pre_activations(digits_model.net, (x - 0.5) / 0.5)[1]
    right = [row for row in range(600) if chances[row].argmax() == labels[row] == 4]
    expected = sum(float(chances[row, 4]) * pmf(features[row], -1) for row in right)
    np.testing.assert_allclose(fitted.learned["1"][1, 4].numpy(), expected / expected.sum(), rtol=1e-4)
    for prototypes in fitted.learned.values():
        torch.testing.assert_close(prototypes.sum(dim=2), torch.ones(2, 10).double())


def test_clean_images_are_recognised_and_as_surely_in_any_batch(digits_model, digits):
    fitted, x, y = digits
    system = fitted.defend(digits_model)
    assert (system.predict(x) == y).float().mean() > 0.65
    assert torch.equal(system(x[10:20]), system(x)[10:20])


def test_an_image_like_its_class_everywhere_gets_it(digits_model):
    images, labels = Digits().training(200)
    rows = torch.tensor([int((labels == label).nonzero()[0]) for label in range(10)])
    x = images[rows].float() / 255
    every = REGroup(max_clean_drop=100)
    system = every.fit(x, digits_model.predict(x), model=digits_model).defend(digits_model)
    assert torch.equal(system.predict(x), digits_model.predict(x))
    assert (system(x).amax(dim=1) == 10).all()  # first on every ballot


def test_the_scale_of_a_layer_does_not_matter():
    sums = 0.1 + torch.rand(5, 2, 7, generator=torch.Generator().manual_seed(0))
    (one,), (other,) = _distributions([sums], 5), _distributions([8 * sums], 5)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-15)
    torch.testing.assert_close(one.sum(dim=2), torch.ones(5, 2).double())


def test_one_pass_an_image(digits_model, digits):
    fitted, x, _ = digits
    before = digits_model.passes.forwards, digits_model.passes.backwards
    fitted.defend(digits_model).predict(x)
    assert digits_model.passes.forwards - before[0] == 64
    z = x.clone().requires_grad_()
    for system in adaptive(fitted, digits_model).alternatives.values():
        outputs = system.logits(z)
        assert torch.equal(outputs, fitted.defend(digits_model)(x))
        assert torch.autograd.grad(outputs[:, 0].sum(), z)[0].isfinite().all()
    assert (digits_model.passes.forwards - before[0], digits_model.passes.backwards - before[1]) == (320, 128)


def test_a_single_layer_may_decide_and_other_defenses_lie_within(digits_model):
    images, labels = Digits().training(300)
    x, model = images.float() / 255, KWTA(gamma=0.4).defend(digits_model)
    last = REGroup(layers=("fc",)).fit(x, labels, model=digits_model)
    assert len(last.learned) == 1
    points = last.defend(model)(x[:20])
    assert torch.equal(points * 2, (points * 2).round())
    assert not torch.equal(points, last.defend(digits_model)(x[:20]))


def test_as_many_of_the_last_layers_vote_as_the_clean_accuracy_allows(digits_model):
    """Counted with one defense for each number of them, taught by the same half of the images."""
    images, labels = Digits().training(600)
    x, layers = images.float() / 255, ("conv1", "conv2", "conv3", "fc")
    mixed = Draws.of(0, "learning", samples=[0]).fork("order").bits((600,))[0].argsort()
    known, fresh = mixed[300:], mixed[:300]

    def right(first):
        fitted = REGroup(layers=layers[first:]).fit(x[known], labels[known], model=digits_model)
        return (fitted.defend(digits_model).predict(x[fresh]) == labels[fresh]).sum().item()

    by_first = [right(first) for first in range(4)]
    network = (digits_model.predict(x[fresh]) == labels[fresh]).sum().item()
    assert by_first[0] < max(by_first)
    for drop in (0.0, 9.0, 15.0, 40.0):
        least = min(network - drop * 3, max(by_first))
        voting = REGroup(max_clean_drop=drop).fit(x, labels, model=digits_model).learned
        assert len(voting) == 4 - next(first for first in range(4) if by_first[first] >= least)


def test_training_images_in_any_order_and_number(digits_model):
    """Sorted by class, or with the classes in turns, both halves have all of them: else all layers would vote."""
    images, labels = Digits().training(600)
    x, y = Digits().load(range(512))
    in_turns = labels.argsort(stable=True).unflatten(0, (10, 60)).T.flatten()
    for order in (labels.argsort(stable=True), in_turns):
        system = REGroup().fit(images[order].float() / 255, labels[order], model=digits_model).defend(digits_model)
        assert (system.predict(x) == y).float().mean() > 0.81
    assert REGroup().fit(images[:1].float() / 255, labels[:1], model=digits_model).learned


def test_refuses_other_networks_and_layers(digits_model, digits, linear_model):
    fitted, x, _ = digits
    one = Model(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), task=digits_model.task)
    with pytest.raises(ConfigError, match="has learned from another network"):
        fitted.defend(one)(x)
    with pytest.raises(UnknownNameError, match="conv4"):
        REGroup(layers=("conv4",)).fit(x, model=digits_model)
    with pytest.raises(ConfigError, match=r"max_clean_drop in 0\.\.100, in points of accuracy, got -1"):
        REGroup(max_clean_drop=-1)
    with pytest.raises(ConfigError, match="training_images"):
        REGroup(training_images=0)


def test_a_layer_that_the_network_does_not_call_is_named(digits_model, digits):
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    net[1].spare = nn.Linear(3, 3)
    with pytest.raises(ConfigError, match="Expected Sequential to call all of 2 layers, it called 1"):
        REGroup(layers=("1", "1.spare")).fit(digits[1], model=Model(net, task=digits_model.task))


def test_all_layers_of_a_transformer_vote(digits_model, digits):
    """Without gradients torch fuses such a layer, and calls none of its modules."""
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.Sequential(nn.Flatten(1, 2), block, nn.Flatten(), nn.Linear(64, 10)).eval()
    model = Model(net, task=digits_model.task)
    x = digits[1]
    system = REGroup(max_clean_drop=0).fit(x, model=model).defend(model)
    assert torch.backends.mha.get_fastpath_enabled()
    z = x[:4].clone().requires_grad_()
    assert torch.autograd.grad(adaptive(REGroup().fit(x, model=model), model).logits(z).sum(), z)[0].abs().sum() > 0
    assert system(x[:4]).shape == (4, 10)


def test_points_of_equals_are_shared():
    found = borda(torch.tensor([[0.5, -1.0, 0.5, 3.0], [1.0, 1.0, 1.0, 1.0]]))
    assert found.tolist() == [[2.5, 1.0, 2.5, 4.0], [2.5, 2.5, 2.5, 2.5]]


def test_rankings_are_counted_fairly():
    preferences = torch.randn(40, 6, 7, generator=torch.Generator().manual_seed(0)).double()
    points = borda(preferences)
    assert (points.sum(dim=-1) == 28).all()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(1))
    assert torch.equal(borda(preferences[..., order]), points[..., order])
    assert torch.equal(borda(3 * preferences + 1), points)
    raised = preferences.clone()
    raised[:, 2, 4] += 0.7
    assert (borda(raised).sum(dim=1)[:, 4] >= points.sum(dim=1)[:, 4]).all()
    agreed = preferences[:, :1].expand(-1, 6, -1)
    assert torch.equal(borda(agreed).mean(dim=1), points[:, 0])


def test_soft_points_are_near_to_the_points_and_rise_with_the_preference():
    preferences = torch.randn(30, 200, generator=torch.Generator().manual_seed(0)).double().requires_grad_()
    soft = soft_borda(preferences)
    assert (soft - borda(preferences.detach())).abs().mean() < 5  # of 200
    assert (torch.autograd.grad(soft[:, 3].sum(), preferences)[0][:, 3] > 0).all()


def test_between_two_candidates_points_have_a_slope():
    """They are as far from their mean as deviate from it: with a slope through both, none would be left."""
    preferences = torch.tensor([[0.2, -0.3], [4.0, 4.5]], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(soft_borda(preferences)[:, 0].sum(), preferences)
    assert (slope[:, 0] > 0.1).all()
    assert (slope[:, 1] < -0.1).all()


def test_divergences_are_those_of_scipy_and_0_where_nothing_differs():
    found = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)).double().softmax(dim=1)
    prototypes = torch.cat([found[:2], found[2:].flip(1)])
    expected = [[entropy(prototype.numpy(), one.numpy()) for prototype in prototypes] for one in found]
    np.testing.assert_allclose(divergences(prototypes, found).numpy(), expected, atol=1e-12)
    assert divergences(found, found).diag().abs().max() < 1e-15


def test_only_recognition_has_classes_to_rank(digits_model):
    class Other(Task):
        """Of another task, as far as it is asked."""

        metrics = Recognition(classes=10).metrics
        check_outputs = check_targets = loss = average = predict = lambda self, *given: None

    with pytest.raises(ConfigError, match="a model of image recognition"):
        REGroup().fit(torch.rand(2, 1, 8, 8), model=Model(digits_model.net, task=Other()))
