"""Recognition: what logits mean, and which outputs and targets it refuses."""

import math

import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.tasks import Recognition

TASK = Recognition(classes=3)
LOGITS = torch.tensor([[0.0, 0.0, 0.0], [1.0, 3.0, 2.0], [100.0, 0.0, 0.0]])


def test_loss_by_hand_and_image_by_image():
    denominator = math.exp(1) + math.exp(3) + math.exp(2)
    expected = [math.log(3), -math.log(math.exp(2) / denominator), 100]
    targets = torch.tensor([0, 2, 1])
    loss = TASK.loss(LOGITS, targets)
    assert loss.tolist() == pytest.approx(expected)
    for row in range(3):
        torch.testing.assert_close(TASK.loss(LOGITS[row : row + 1], targets[row : row + 1])[0], loss[row])


def test_predict():
    predictions = TASK.predict(LOGITS[1:])
    assert predictions.tolist() == [1, 0]
    assert predictions.dtype == torch.int64
    TASK.check_targets(predictions, 2)


def test_top1():
    (name, metric), *_ = TASK.metrics.items()
    assert (name, metric.range, metric.proportion) == ("top1", 1, True)
    scores = metric.per_image(torch.tensor([0, 1, 2]), torch.tensor([0, 2, 2]))
    assert scores.tolist() == [1, 0, 1]
    assert scores.is_floating_point()


@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (3,), (3, 3, 1)])
def test_wrong_outputs(shape):
    TASK.check_outputs(LOGITS, 3)
    with pytest.raises(InputError, match=r"logits of shape \(3, 3\)"):
        TASK.check_outputs(torch.zeros(shape), 3)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_outputs_that_are_not_finite(value):
    broken = LOGITS.clone()
    broken[1, 2] = broken[1, 0] = value
    with pytest.raises(InputError, match="finite logits, got NaN or infinity for 1 of 3 images"):
        TASK.check_outputs(broken, 3)


@pytest.mark.parametrize(
    ("targets", "complaint"),
    [
        (torch.tensor([0, 1, 3]), r"labels in 0\.\.2, got labels in 0\.\.3"),
        (torch.tensor([0, -1, 2]), r"labels in -1\.\.2"),
        (torch.tensor([0, 1]), r"shape \(3,\)"),
        (torch.tensor([[0], [1], [2]]), r"shape \(3,\)"),
        (torch.tensor([0.0, 1.0, 2.0]), "int64 labels"),
        (torch.tensor([0, 1, 2], dtype=torch.int32), "int64 labels"),
        (torch.eye(3), "int64 labels"),
    ],
)
def test_wrong_targets(targets, complaint):
    TASK.check_targets(torch.tensor([0, 1, 2]), 3)
    with pytest.raises(InputError, match=complaint):
        TASK.check_targets(targets, 3)


@pytest.mark.parametrize("classes", [1, 0, -2])
def test_too_few_classes(classes):
    with pytest.raises(ConfigError, match=f"at least 2 classes, got {classes}"):
        Recognition(classes=classes)


def test_a_value_with_a_stable_identity():
    assert Recognition(classes=3) == TASK != Recognition(classes=4)
    assert repr(TASK) == "Recognition(classes=3)"


@pytest.mark.parametrize("margin", [5.0, 20.0, 25.0])
def test_the_gradient_keeps_the_class_that_the_network_is_sure_of(margin):
    # in float32 the softmax of a margin of 17 is exactly 1: the gradient would pull at the other classes only
    logits = torch.tensor([[margin, 0.0, -1.0]], requires_grad=True)
    Recognition(classes=3).loss(logits, torch.tensor([0])).sum().backward()
    others = torch.tensor([0.0, -1.0]).double().sub(margin).exp()
    expected = torch.cat([-others.sum()[None], others]) / (1 + others.sum())
    torch.testing.assert_close(logits.grad[0], expected.float(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("weight", [1.0, 0.3, 1e-6])
def test_weighed_log_odds_are_those_of_so_many_times_the_loss(weight):
    odds = torch.tensor([[-300.0, -20.0, -16.0, -14.0, -1.0, 0.0, 2.0, 30.0, 300.0]], requires_grad=True)
    found = TASK.weighed(odds, torch.full_like(odds, weight))
    exact = weight * odds.detach().double().exp().log1p()
    torch.testing.assert_close(found.detach().double(), exact.expm1().log(), rtol=1e-4, atol=1e-4)
    (slope,) = torch.autograd.grad(found.sum(), odds)
    torch.testing.assert_close(
        slope.double(), weight * odds.detach().double().sigmoid() / -(-exact).expm1(), rtol=1e-3, atol=0
    )


def test_a_weight_of_nothing_leaves_next_to_nothing_and_a_gradient():
    odds = torch.tensor([[-300.0, 0.0, 300.0]], requires_grad=True)
    found = TASK.weighed(odds, torch.zeros_like(odds))
    (slope,) = torch.autograd.grad(found.sum(), odds)
    assert (found < -60).all()
    assert (slope > 0).all()
