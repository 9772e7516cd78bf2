"""AutoAttack's members against the passes they cannot do without, and against the same attacks of other libraries."""

import pytest
import torch
from foolbench.attacks import APGD, FAB, Square
from foolbench.core.norms import size

STEPS = 20
CHANCE = 0.05  # of 64 images: three that a random start decides
EPS = 4 / 255


def robust(subject, adversarial):
    return float((subject.model.predict(adversarial) == subject.y).float().mean())


@pytest.fixture(params=["googlenet", "resnet18_1000"])
def subject(request):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_apgd_step(subject, norm, ratio):
    model, x, y, net = subject
    attack = APGD(eps=EPS if norm == "linf" else 0.5, norm=norm, steps=STEPS, early_stop=False)

    def bare():
        """The passes that the steps need: one with its gradient before each, and one after the last."""
        for _ in range(STEPS):
            z = x.detach().requires_grad_()
            loss = torch.nn.functional.cross_entropy(net(z), y, reduction="sum")
            torch.autograd.grad(loss, z)
        with torch.no_grad():
            net(x)

    ratio(lambda: attack(model, x, y, rng=0), bare, limit=1.05, rounds=8)


@pytest.mark.parametrize("early_stop", [False, True])
def test_apgd_against_torchattacks(subject, early_stop, ratio):
    torchattacks = pytest.importorskip("torchattacks")
    model, x, y, net = subject
    ours = APGD(eps=1 / 255, steps=STEPS, early_stop=early_stop)
    theirs = torchattacks.APGD(net, eps=1 / 255, steps=STEPS)
    assert robust(subject, ours(model, x, y, rng=0)) <= robust(subject, theirs(x, y)) + CHANCE
    ratio(lambda: ours(model, x, y, rng=0), lambda: theirs(x, y), limit=1.0, rounds=5)


@pytest.mark.parametrize("early_stop", [False, True])
def test_apgd_against_adv_lib(subject, early_stop, ratio, adv_lib):
    apgd = adv_lib("auto_pgd").apgd
    model, x, y, net = subject
    ours = APGD(eps=1 / 255, steps=STEPS, early_stop=early_stop)

    def theirs():
        return apgd(net, x, y, eps=1 / 255, norm=float("inf"), n_iter=STEPS, loss_function="ce")

    assert robust(subject, ours(model, x, y, rng=0)) <= robust(subject, theirs()) + CHANCE
    ratio(lambda: ours(model, x, y, rng=0), theirs, limit=1.0, rounds=5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_against_torchattacks(googlenet, norm, ratio):
    torchattacks = pytest.importorskip("torchattacks")
    model, x, y, net = googlenet
    facts = {"norm": "Linf" if norm == "linf" else "L2", "eps": 100, "steps": 5}
    ours, theirs = (
        FAB(norm=norm, steps=5, target_classes=1),
        torchattacks.FAB(net, multi_targeted=True, n_classes=2, **facts),
    )
    found, expected = ours(model, x, y, rng=0), theirs(x, y)
    both = (model.predict(found) != y) & (model.predict(expected) != y)
    assert robust(googlenet, found) <= robust(googlenet, expected) + 0.01
    assert size(found - x, norm)[both].mean() <= 1.01 * size(expected - x, norm)[both].mean()
    ratio(lambda: ours(model, x, y, rng=0), lambda: theirs(x, y), limit=1.0, rounds=5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_against_torchattacks(googlenet, norm, ratio):
    torchattacks = pytest.importorskip("torchattacks")
    model, x, y, net = googlenet
    eps = 1 / 255 if norm == "linf" else 0.1
    ours = Square(eps=eps, norm=norm, queries=50)
    theirs = torchattacks.Square(net, norm="Linf" if norm == "linf" else "L2", eps=eps, n_queries=50)
    assert robust(googlenet, ours(model, x, y, rng=0)) <= robust(googlenet, theirs(x, y)) + CHANCE
    ratio(lambda: ours(model, x, y, rng=0), lambda: theirs(x, y), limit=1.0, rounds=5)
