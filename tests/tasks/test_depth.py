"""Depth by hand, and blind to where nobody knows it."""

import math

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.tasks import Depth, gfr

TASK = Depth(min_depth=0.5, max_depth=20.0)


def value(name, guess, truth, task=TASK, clean=None):
    metric = task.metrics[name]
    found = metric.statistics(metric.align(guess, truth, guess if clean is None else clean), truth)
    return metric.of_set(found.double().numpy())


def test_every_metric_against_its_definition():
    rng = np.random.default_rng(0)
    truth, guess = rng.uniform(1, 10, (2, 3, 8, 6)).astype(np.float32)
    known = rng.random(truth.shape) < 0.7
    expected = {name: [] for name in ("delta1", "delta2", "delta3", "abs-rel", "sq-rel", "rmse", "rmse-log")}
    for t, p in ((t[k], p[k]) for t, p, k in zip(truth, guess, known, strict=True)):
        ratio = np.maximum(t / p, p / t)
        for power in (1, 2, 3):
            expected[f"delta{power}"].append((ratio < 1.25**power).mean())
        expected["abs-rel"].append((np.abs(t - p) / t).mean())
        expected["sq-rel"].append(((t - p) ** 2 / t).mean())
        expected["rmse"].append(np.sqrt(((t - p) ** 2).mean()))
        expected["rmse-log"].append(np.sqrt(((np.log(t) - np.log(p)) ** 2).mean()))
    for unknown in (0.0, math.nan):
        there = torch.from_numpy(np.where(known, truth, np.float32(unknown)))
        for name, per_image in expected.items():
            assert value(name, torch.from_numpy(guess), there) == pytest.approx(np.mean(per_image), rel=1e-5), name


def test_where_nothing_is_known_no_number_no_loss_and_no_gradient_changes():
    rng = torch.Generator().manual_seed(0)
    truth = (1 + 9 * torch.rand(2, 6, 5, generator=rng)).masked_fill(torch.rand(2, 6, 5, generator=rng) < 0.3, 0)
    guess = 1 + 9 * torch.rand(2, 6, 5, generator=rng)
    others = torch.where(truth == 0, 1 + 9 * torch.rand(2, 6, 5, generator=rng), guess)
    for name in TASK.metrics:
        assert value(name, guess, truth) == value(name, others, truth), name
    losses, gradients = [], []
    for outputs in (guess.clone(), others.clone()):
        loss = TASK.loss(outputs.requires_grad_(), truth)
        losses.append(loss.detach())
        gradients.append(torch.autograd.grad(loss.sum(), outputs)[0])
        assert not gradients[-1][truth == 0].any()
    assert torch.equal(*losses)
    assert torch.equal(gradients[0][truth > 0], gradients[1][truth > 0])


def test_scales_are_medians_also_of_an_even_number_of_pixels():
    """Of NumPy: the mean of the middle two."""
    truth, guess = torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[1.0, 4.0]]])
    expected = np.abs(guess.numpy() * (np.median(truth) / np.median(guess)) - truth.numpy()) / truth.numpy()
    assert value("abs-rel:median", guess, truth) == pytest.approx(expected.mean(), rel=1e-6)


@pytest.mark.parametrize("aim", ["nearer", "farther"])
def test_no_target_of_an_aim_is_reached_before_anything_has_changed(aim):
    clean = 2 + 3 * torch.rand(2, 8, 9, generator=torch.Generator().manual_seed(0))
    target = TASK.aims[aim](clean)
    assert not TASK.reached(clean, target, targeted=True).any()
    assert TASK.reached(target * 1.01, target, targeted=True).all()


def test_three_columns_for_the_scale():
    rng = torch.Generator().manual_seed(0)
    truth = 2 + 3 * torch.rand(2, 8, 9, generator=rng)
    clean, attacked = 2 * truth, 1.5 * truth  # both have all right but their scale, which the attack has changed
    assert value("abs-rel", attacked, truth, clean=clean) == pytest.approx(0.5, rel=1e-5)
    assert value("abs-rel:median", attacked, truth, clean=clean) == pytest.approx(0, abs=1e-6)  # it is hidden
    assert value("abs-rel:clean", attacked, truth, clean=clean) == pytest.approx(0.25, rel=1e-5)  # 1.5 / 2
    assert value("abs-rel:clean", clean, truth, clean=clean) == pytest.approx(0, abs=1e-6)


def test_gfr_of_delta_and_of_an_error():
    clean = torch.full((1, 1, 4), 4.0)
    attacked = torch.tensor([[[4.0, 4.9, 5.1, 3.1]]])  # ratios 1, 1.225, 1.275, 1.29
    assert gfr(TASK.metrics["delta1"], attacked, clean).tolist() == [0.5]
    rmse = TASK.metrics["rmse"]
    assert float(gfr(rmse, attacked, clean)) == pytest.approx(
        math.sqrt((0.9**2 + 1.1**2 + 0.9**2) / 4) / (20 - 0.5), rel=1e-5
    )
    assert float(gfr(rmse, clean, clean)) == 0


def test_clamp_and_crop():
    truth = torch.full((1, 10, 10), 4.0)
    guess = truth.clone()
    guess[:, 0] = 100.0  # clamped to 20, in a row that the crops leave out
    assert value("abs-rel", TASK.predict(guess), truth) == pytest.approx((20 - 4) / 4 / 10)
    for crop in ("garg", "eigen"):
        assert value("abs-rel", guess, truth, Depth(min_depth=0.5, max_depth=20.0, crop=crop)) == 0


def test_an_attack_on_the_own_prediction_has_a_slope_to_begin_with():
    outputs = torch.full((1, 1, 3, 3), 4.0, requires_grad=True)
    (gradient,) = torch.autograd.grad(TASK.loss(outputs, TASK.predict(outputs.detach())).sum(), outputs)
    torch.testing.assert_close(gradient, torch.full_like(gradient, 1 / 4 / 9))


def test_loss_by_hand():
    truth = torch.tensor([[[1.0, 2.0, 0.0]]])
    loss = TASK.loss(torch.tensor([[[[2.0, 1.0, 7.0]]]]), truth)
    assert loss.tolist() == pytest.approx([math.log(2)])


@pytest.mark.parametrize(
    ("targets", "complaint"),
    [
        (torch.ones(2, 4, 4, dtype=torch.float64), "float32"),
        (torch.ones(2, 1, 4, 4), "float32"),
        (torch.ones(1, 4, 4), "2 maps"),
        (torch.zeros(2, 4, 4), "somewhere"),
    ],
)
def test_wrong_targets(targets, complaint):
    with pytest.raises(InputError, match=complaint):
        TASK.check_targets(targets, 2)


def test_wrong_outputs_and_parameters():
    for shape in ((2, 1, 4, 4), (2, 4, 4)):
        TASK.check_outputs(torch.ones(shape), 2)
    for shape in ((2, 3, 4, 4), (3, 1, 4, 4), (2,)):
        with pytest.raises(InputError, match="depths of shape"):
            TASK.check_outputs(torch.ones(shape), 2)
    with pytest.raises(InputError, match="finite"):
        TASK.check_outputs(torch.full((2, 1, 4, 4), torch.inf), 2)
    for wrong in ({"min_depth": 0.0}, {"max_depth": 0.1, "min_depth": 1.0}, {"crop": "none of them"}):
        with pytest.raises(ConfigError):
            Depth(**wrong)


def test_beyond_the_range_there_is_a_slope_towards_it():
    depth = Depth(min_depth=1.0, max_depth=80.0)
    outputs = torch.tensor([[[[100.0, -3.0, 50.0]]]], requires_grad=True)
    (slope,) = torch.autograd.grad(depth.loss(outputs, torch.tensor([[[20.0, 20.0, 20.0]]])).sum(), outputs)
    torch.testing.assert_close(slope, torch.tensor([[[[1 / 80, -1.0, 1 / 50]]]]) / 3)
