"""Budgets are read exactly, projected onto exactly, and an attack that leaves them is found out."""

import math

import pytest
import torch
from foolbench.core import BudgetError, ConfigError, Threat
from foolbench.core.norms import size

LINF = Threat(norm="linf", eps=0.1)
L2 = Threat(norm="l2", eps=0.5)
L1 = Threat(norm="l1", eps=2.0)
L0 = Threat(norm="l0", eps=7)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10/255", 10 / 255),
        (" 8 / 255 ", 8 / 255),
        ("0.5/255", 0.5 / 255),
        ("0.03", 0.03),
        ("1e-3", 1e-3),
        (0.5, 0.5),
        (1, 1.0),
        ("1", 1.0),
    ],
)
def test_parse(text, value):
    assert Threat(norm="linf", eps=text).eps == value


@pytest.mark.parametrize(
    "eps",
    [
        0,
        0.0,
        -1,
        "-1/255",
        "0/255",
        math.nan,
        -math.inf,
        "nan",
        "x",
        "",
        "1/0",
        "inf/255",
        "8/255/2",
        None,
        [1],
        "1e400",
    ],
)
def test_bad_eps_is_one_clear_sentence(eps):
    with pytest.raises(ConfigError) as caught:
        Threat(norm="linf", eps=eps)
    message = str(caught.value)
    assert message.startswith("Expected eps")
    assert repr(eps) in message
    assert message.endswith(".")
    assert "\n" not in message


def test_bad_norm():
    with pytest.raises(ConfigError, match="Expected norm"):
        Threat(norm="l7", eps=0.1)


@pytest.mark.parametrize("threat", [LINF, L2, L1, L0], ids=str)
def test_project_meets_ball_and_box_and_keeps_what_is_inside(threat):
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(30, 3, 4, 5, generator=rng)
    wild = x + torch.randn(x.shape, generator=rng)
    projected = threat.project(wild, x)
    assert size(projected - x, threat.norm).max() <= threat.eps + 1e-6
    assert 0 <= projected.min() <= projected.max() <= 1
    torch.testing.assert_close(threat.project(projected, x), projected, rtol=0, atol=1e-6)
    assert torch.equal(threat.project(x, x), x)


def test_linf_projection_is_a_clamp_between_bounds():
    x, wild = torch.tensor([[[[0.05, 0.5, 0.97, 0.5]]]]), torch.tensor([[[[-1.0, 0.9, 2.0, 0.45]]]])
    torch.testing.assert_close(LINF.project(wild, x), torch.tensor([[[[0.0, 0.6, 1.0, 0.45]]]]))


def at_excess(threat: Threat, excess: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.full((2, 1, 2, 2), 0.5)
    adversarial = x.clone()
    adversarial[1, 0, 0, 1] += threat.eps + excess  # the same size in both norms; the first image is innocent
    return adversarial, x


@pytest.mark.parametrize("threat", [Threat(norm=norm, eps=0.1) for norm in ("linf", "l2", "l1")], ids=str)
@pytest.mark.parametrize("excess", [-0.05, 0.0, 5e-6])
def test_enforce_repairs_what_rounding_explains(threat, excess):
    adversarial, x = at_excess(threat, excess)
    repaired = threat.enforce(adversarial, x)
    assert size(repaired - x, threat.norm).max() <= threat.eps + 1e-7
    torch.testing.assert_close(repaired, adversarial, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threat", [Threat(norm=norm, eps=0.1) for norm in ("linf", "l2", "l1")], ids=str)
@pytest.mark.parametrize("excess", [1e-3, 0.3])
def test_enforce_refuses_more(threat, excess):
    with pytest.raises(BudgetError, match="exceeds its"):
        threat.enforce(*at_excess(threat, excess))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
@pytest.mark.parametrize("eps", [1, math.inf])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_not_finite_is_refused_under_every_norm(norm, eps, value):
    x = torch.full((3, 1, 2, 2), 0.5)
    adversarial = x.clone()
    adversarial[1, 0, 0, 1] = value
    with pytest.raises(BudgetError, match="NaN or infinity in 1 of 3"):
        Threat(norm=norm, eps=eps).check(adversarial, x)


@pytest.mark.parametrize("eps", [0.5, "8/255", 0.999])
def test_an_l0_budget_counts_values(eps):
    with pytest.raises(ConfigError, match="Expected eps >= 1 under l0, where it counts changed values, got 0"):
        Threat(norm="l0", eps=eps)
    assert Threat(norm="l0", eps=1).eps == 1


@pytest.mark.parametrize(("start", "step"), [(0.0, -0.05), (1.0, 0.05)])
def test_enforce_refuses_pixels_outside_the_box(start, step):
    x = torch.full((1, 1, 2, 2), start)
    with pytest.raises(BudgetError, match="outside"):
        LINF.enforce(x + step, x)
    assert torch.equal(LINF.enforce(x + step * 1e-5, x), x)


@pytest.mark.parametrize("shape", [(1, 1, 2, 2), (2, 1, 2, 3), (2, 4)])
def test_enforce_refuses_another_shape(shape):
    with pytest.raises(BudgetError, match="shape"):
        LINF.enforce(torch.full(shape, 0.5), torch.full((2, 1, 2, 2), 0.5))


def test_an_infinite_budget_leaves_only_the_box():
    x, wild = torch.tensor([[[[0.05, 0.5]]]]), torch.tensor([[[[-1.0, 0.9]]]])
    for norm in ("linf", "l2", "l1", "l0"):
        torch.testing.assert_close(Threat(norm=norm, eps=math.inf).project(wild, x), torch.tensor([[[[0.0, 0.9]]]]))


def test_l0_excess_is_never_rounding():
    x = torch.full((1, 1, 3, 3), 0.5)
    with pytest.raises(BudgetError, match="exceeds its l0 budget of 7 by 1"):
        L0.check(torch.where(torch.arange(9).reshape(x.shape) < 8, x + 1e-6, x), x)


def test_what_an_attack_returns_must_be_a_tensor():
    x = torch.rand(2, 3, 4, 4)
    with pytest.raises(BudgetError, match="The attack returned ndarray, not a tensor"):
        Threat(norm="linf", eps=0.1).enforce(x.numpy(), x)
