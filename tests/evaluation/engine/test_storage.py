"""What is stored in 8 bits: on the grid, within the budget, and fooling wherever some such image does."""

import pytest
import torch
from foolbench.core.norms import size
from foolbench.core.threat import Threat
from foolbench.evaluation.engine.crafting.storage import Storage

SHAPE = (1, 4, 4)


@pytest.fixture
def x():
    rng = torch.Generator().manual_seed(0)
    return torch.randint(60, 190, (64, *SHAPE), generator=rng) / 255


@pytest.fixture
def weights():
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(1)).sign()


def storage(x, threat, weights, margin):
    """Fooling is to be further than `margin` from the clean image along the weights, in levels."""

    def fools(images, rows):
        return 255 * ((images - x[rows]) * weights).flatten(1).sum(dim=1) > margin

    return Storage(threat=threat, x=x, fools=fools)


@pytest.mark.parametrize("threat", [Threat(norm="linf", eps=8 / 255), Threat(norm="l2", eps=16 / 255)], ids=str)
def test_what_stops_just_beyond_the_boundary_still_fools(x, weights, threat):
    x_adv = x + weights * 0.4 / 255  # 16 values come 6.4 levels far; to the nearest level, none comes anywhere
    stored, undone = storage(x, threat, weights, 6.3).search(x_adv)
    assert not undone.any()
    images = stored.float() / 255
    assert storage(x, threat, weights, 6.3).fools(images, torch.arange(len(x))).all()
    assert float(size(images - x, threat.norm).max()) <= threat.eps + 1e-6


def test_as_many_values_go_back_as_can_be(x, weights):
    order = torch.rand(len(x), 16, generator=torch.Generator().manual_seed(2)).argsort(dim=1)
    far = (0.03 * (1 + order)).view_as(x)  # 0.03 to 0.48, each once
    x_adv = x + weights * far / 255
    found = storage(x, Threat(norm="linf", eps=8 / 255), weights, 2.5)
    stored, undone = found.search(x_adv)
    assert not undone.any()
    changed = ((stored.float() / 255 - x).abs() > 1e-3).flatten(1).sum(dim=1)
    assert changed.tolist() == [3] * len(x)  # three values by one level are the least beyond 2.5
    moved = (stored.float() / 255 - x).abs() > 1e-3
    assert torch.equal(moved, far > 0.4)  # and none had to go less far to its level


def test_the_change_grows_where_rounding_outwards_is_too_little(x, weights):
    _, undone = storage(x, Threat(norm="linf", eps=8 / 255), weights, 31.5).search(x + weights * 1.98 / 255)
    assert not undone.any()  # 16 values by two levels


def test_what_rounding_undoes_is_counted(x, weights):
    threat = Threat(norm="linf", eps=0.9 / 255)
    stored, undone = storage(x, threat, weights, 6.3).search(x + weights * 0.4 / 255)
    assert undone.all()  # there is no other level within the budget
    assert torch.equal(stored.float() / 255, x)


def test_what_has_not_fooled_is_rounded_to_the_nearest(x, weights):
    stored, undone = storage(x, Threat(norm="linf", eps=8 / 255), weights, 1e9).search(x + weights * 1.4 / 255)
    assert not undone.any()
    assert torch.equal(stored.float(), (255 * x + weights).round())
