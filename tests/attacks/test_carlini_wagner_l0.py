"""C&W under L0: how few values it changes, and the patience that this takes."""

import pytest
import torch
from foolbench.attacks import CarliniWagner
from foolbench.attacks.carlini_wagner.progress import Progress, window_of
from foolbench.core.norms import size
from foolbench.datasets.digits import Digits

SHAPE = (2, 3, 4)


def fewest(model, x, y):
    """Greedy: for each class the values whose whole way to black or white closes the most of the gap, in turn."""
    weight, logits = model.net.weight.detach(), model(x).detach()
    gap, away = logits.gather(1, y[:, None]) - logits, weight[y][:, None] - weight[None]
    room = torch.where(away > 0, x.flatten(1)[:, None], 1 - x.flatten(1)[:, None]) * away.abs()
    closed = room.sort(dim=2, descending=True).values.cumsum(dim=2)
    counts = (closed < gap[:, :, None]).sum(dim=2) + 1
    return counts.scatter(1, y[:, None], x[0].numel()).amin(dim=1)


@pytest.mark.parametrize("classes", [2, 5])
def test_it_is_near_the_greedy_optimum_of_a_linear_model(linear_model, mid_images, classes):
    model, x = linear_model(classes, SHAPE), mid_images(16, SHAPE)
    y = model.predict(x)
    found = CarliniWagner(norm="l0", steps=400)(model, x, y)
    assert (model.predict(found) != y).all()
    changed, least = (found != x).flatten(1).sum(dim=1), fewest(model, x, y)
    assert (changed >= least).all()
    assert (changed <= least + 1).all()
    assert changed.float().mean() <= least.float().mean() + 0.25


def test_progress_is_within_a_problem():
    progress, steps, every = Progress.none(2, torch.device("cpu")), 1000, torch.tensor([True, True])
    window = window_of(steps)

    def descend(losses):
        for loss in torch.linspace(*losses, window):
            progress.add(loss.expand(2))
        assert torch.equal(progress.due(steps), every)
        return progress.turn(every, steps).tolist()

    assert descend((9.0, 2.0)) == [False, False]
    assert descend((2.0, 1.0)) == [False, False]
    progress.restart(torch.tensor([True, False]))  # as after a success: fewer values have larger losses
    assert descend((9.0, 5.0)) == [False, True]
    assert descend((5.0, 4.0)) == [False, False], "what has ended begins anew"
    assert descend((4.0, 3.99)) == [True, True]


def test_it_takes_its_time_after_a_success(digits_model):
    x, _ = Digits().load(range(48))
    y = digits_model.predict(x)
    found = CarliniWagner(norm="l0", steps=100, searches=1, initial_c=10.0)(digits_model, x, y)
    assert (digits_model.predict(found) != y).all()
    assert size(found - x, "l0").mean() < 4, "4.8 where fewer values must beat the loss of the success before them"
