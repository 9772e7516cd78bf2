"""Attacks on answers that are maps: through the task's loss, and those that were made for them."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import (
    APGD,
    BIM,
    FFF,
    FGSM,
    GDUAP,
    JSMA,
    PGD,
    SEA,
    UAP,
    AutoAttack,
    CarliniWagner,
    CosPGD,
    DeepFool,
    RandomSign,
    RayS,
    SegPGD,
    Square,
    UniversalPGD,
)
from foolbench.core import ConfigError, Model, register_task
from foolbench.core.norms import size
from foolbench.core.task import Places
from foolbench.core.universal_attack import CraftingData
from foolbench.tasks import Depth, Recognition, Segmentation
from torch import nn

SHAPE, EPS = (3, 12, 10), 0.05


class Deep(nn.Sequential):
    """One depth a pixel, in 1..9."""

    def forward(self, x):
        return 1 + 8 * (10 * super().forward(x)).sigmoid()


def network(outputs, kind=nn.Sequential):
    torch.manual_seed(0)
    return kind(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, outputs, 3, padding=1))


def model(task):
    net = network(1, Deep) if isinstance(task, Depth) else network(4)
    return Model(net, task=task, shape=SHAPE, mean=0.5, std=0.1, features=("1",), name="dense")


SYSTEMS = [model(Segmentation(classes=4)), model(Depth(min_depth=0.5, max_depth=10.0))]
ON_MAPS = [
    FGSM(eps=EPS),
    BIM(eps=EPS, steps=5),
    PGD(eps=EPS, steps=5),
    PGD(eps=EPS, steps=5, restarts=2, early_stop=True),
    APGD(eps=EPS, steps=10),
    SegPGD(eps=EPS, steps=5),
    CosPGD(eps=EPS, steps=5),
    SEA(eps=EPS, steps=10),
]


@pytest.fixture(params=SYSTEMS, ids=["segmentation", "depth"])
def system(request):
    return request.param


@pytest.fixture
def x():
    return torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def changed(model, x, x_adv):
    return float(1 - model.task.agreement(model.predict(x_adv), model.predict(x)).mean())


@pytest.mark.parametrize("attack", ON_MAPS, ids=repr)
def test_they_change_more_of_the_map_than_noise_does(attack, system, x):
    x_adv = attack(system, x, rng=0)
    assert (size(x_adv - x, "linf") <= EPS + 1e-6).all()
    noise = changed(system, x, RandomSign(eps=EPS)(system, x, rng=0))
    assert changed(system, x, x_adv) > noise + 0.05


@pytest.mark.parametrize("scale", [100, 1e4])
@pytest.mark.parametrize(
    "attack",
    [
        FGSM(eps=EPS),
        *(kind(eps=EPS, steps=10) for kind in (PGD, SegPGD, CosPGD)),
        *SEA(eps=EPS, steps=10).members.values(),
    ],
    ids=repr,
)
def test_the_units_of_logits_do_not_matter(attack, x, scale):
    """Of a network as sure as an ordinary one, and of the same in other units, which has no gradient at most pixels."""
    usual, sure = in_units(80), in_units(80 * scale)
    lead = usual(x).topk(2, dim=1).values
    assert 5 < float((lead[:, 0] - lead[:, 1]).median()) < 20
    assert changed(sure, x, attack(sure, x, rng=0)) > 0.9 * changed(usual, x, attack(usual, x, rng=0)) > 0.05


def in_units(scale):
    found = model(Segmentation(classes=4))
    with torch.no_grad():
        found.net[-1].weight *= scale
        found.net[-1].bias *= scale
    return found


@pytest.mark.parametrize("attack", [PGD(eps=EPS), SegPGD(eps=EPS), CosPGD(eps=EPS)], ids=repr)
def test_targeted_towards_another_map(attack, system, x):
    target = system.predict(x.flip(3))
    reaching = type(attack)(eps=EPS, targeted=True, steps=20)
    before = system.task.agreement(system.predict(x), target).mean()
    found = system.task.agreement(system.predict(reaching(system, x, target, rng=0)), target).mean()
    assert float(found) > float(before) + 0.05


@pytest.mark.parametrize("attack", [FFF(eps=EPS, max_iterations=30), GDUAP(eps=EPS, max_iterations=30)], ids=repr)
def test_universal_perturbations_of_features(attack, system, x):
    found = attack.craft(system, CraftingData(validation=x, load_training=lambda: x), rng=0)
    assert found.delta.abs().max() <= EPS + 1e-6
    assert changed(system, x, found.apply(x)) > 0.02


def test_less_background_needs_a_background(x):
    attack = GDUAP(eps=EPS, prior="less-background", max_iterations=2)
    data = CraftingData(validation=x, load_training=lambda: x)
    attack.craft(SYSTEMS[0], data, rng=0)
    for system in (SYSTEMS[1], model(Segmentation(classes=4, background=None))):
        with pytest.raises(ConfigError, match="background"):
            attack.craft(system, data, rng=0)
    with pytest.raises(ConfigError, match="background"):
        Segmentation(classes=4, background=4)


def test_universal_pgd(system, x):
    attack = UniversalPGD(eps=EPS, max_iterations=20, validate_every=10)
    found = attack.craft(system, CraftingData(validation=x, load_training=lambda: x), rng=0)
    assert changed(system, x, found.apply(x)) > changed(system, x, RandomSign(eps=EPS)(system, x, rng=0))


@pytest.mark.parametrize(
    "attack",
    [
        DeepFool(),
        CarliniWagner(),
        JSMA(eps=8, norm="l0"),
        Square(eps=EPS),
        RayS(eps=EPS),
        AutoAttack(eps=EPS),
        APGD(eps=EPS, loss="dlr"),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_attacks_on_one_class_an_image_are_refused(attack, system, x):
    with pytest.raises(ConfigError, match="from one class to another"):
        attack(system, x, rng=0)


@pytest.mark.parametrize("attack", [UAP(eps=EPS), UniversalPGD(eps=EPS, target=1)], ids=repr)
def test_so_are_universal_ones(attack, system, x):
    with pytest.raises(ConfigError, match="from one class to another"):
        attack.craft(system, CraftingData(validation=x, load_training=lambda: x), rng=0)


def test_segpgd_is_pgd_as_long_as_no_pixel_has_left(x):
    system, tiny = SYSTEMS[0], 1e-5
    ours, pgd = (kind(eps=tiny, steps=6)(system, x, rng=0) for kind in (SegPGD, PGD))
    assert torch.equal(system.predict(pgd), system.predict(x))
    torch.testing.assert_close(ours, pgd, rtol=0, atol=2e-6)


@register_task("aligned")
@dataclass(frozen=True, kw_only=True)
class Aligned(Segmentation):
    """Every pixel is as much of its class as any, and none has left it."""

    def places(self, outputs, targets):
        places = super().places(outputs, targets)
        return Places(places.losses, torch.ones_like(places.right), torch.ones_like(places.alignment))


@pytest.mark.parametrize("kind", [SegPGD, CosPGD])
def test_with_equal_weights_they_are_pgd(kind, x):
    system = model(Aligned(classes=4))
    ours, pgd = (attack(eps=EPS, steps=6)(system, x, rng=0) for attack in (kind, PGD))
    assert ((ours - pgd).abs() < 1e-6).float().mean() > 0.999  # a gradient of 1e-9 has any sign


def test_losses_by_hand():
    task = Segmentation(classes=2)
    system = Model(nn.Conv2d(2, 2, 1), task=task, shape=(2, 1, 3), name="pixels", mean=0.0, std=1.0)
    outputs = torch.tensor([[[[3.0, 0.0, 1.0]], [[0.0, 2.0, 0.0]]]])  # predictions 0 1 0
    y = torch.tensor([[[0, 0, 1]]])  # right, wrong, wrong
    ce = torch.tensor([(-3.0), 2.0, 1.0]).exp().log1p()
    for step, weights in ((0, [1.0, 0.0, 0.0]), (2, [0.75, 0.25, 0.25])):
        found = SegPGD(eps=EPS, steps=4).ascended(system, step)(outputs, y)
        assert float(found) == pytest.approx(float((ce * torch.tensor(weights)).sum() / 3), rel=1e-5)
        towards = SegPGD(eps=EPS, steps=4, targeted=True).ascended(system, step)(outputs, y)
        swapped = [1 - weight for weight in weights]
        assert float(towards) == pytest.approx(-float((ce * torch.tensor(swapped)).sum() / 3), rel=1e-5)
    p = outputs.softmax(dim=1)[0, :, 0]
    cosine = torch.stack([p[0, 0], p[0, 1], p[1, 2]]) / p.norm(dim=0)
    assert float(CosPGD(eps=EPS).ascended(system, 0)(outputs, y)) == pytest.approx(
        float((cosine * ce).mean()), rel=1e-5
    )
    towards = CosPGD(eps=EPS, targeted=True).ascended(system, 0)(outputs, y)
    assert float(towards) == pytest.approx(-float(((1 - cosine) * ce).mean()), rel=1e-5)


AIMS = ["flip-left-right", "flip-up-down", "nearer", "farther"]


@pytest.mark.parametrize("kind", [PGD, SegPGD, CosPGD])
@pytest.mark.parametrize("aim", AIMS)
def test_an_aim_is_another_map_to_come_nearer_to(kind, aim, x):
    system = SYSTEMS[1]
    clean = system.predict(x)
    wanted = {
        "flip-left-right": clean.flip(2),
        "flip-up-down": clean.flip(1),
        "nearer": (0.9 * clean).clamp(0.5, 10),
        "farther": (1.1 * clean).clamp(0.5, 10),
    }[aim]
    found = kind(eps=EPS, steps=20, aim=aim)(system, x, rng=0)
    towards = kind(eps=EPS, steps=20, targeted=True)(system, x, wanted, rng=0)
    assert torch.equal(found, towards)
    assert system.task.loss(system.logits(found), wanted).mean() < system.task.loss(system.logits(x), wanted).mean()


def test_maps_of_classes_are_flipped_only(x):
    system = SYSTEMS[0]
    wanted = system.predict(x).flip(2)
    found = PGD(eps=EPS, steps=20, aim="flip-left-right")(system, x, rng=0)
    assert (system.predict(found) == wanted).float().mean() > (system.predict(x) == wanted).float().mean()
    with pytest.raises(ConfigError, match="flip-left-right, flip-up-down; got 'nearer'"):
        PGD(eps=EPS, aim="nearer")(system, x, rng=0)


def test_what_is_unknown_stays_so():
    depth = Depth(min_depth=0.5, max_depth=10.0)
    truth = torch.tensor([[[0.0, 0.5, 5.0, 9.5, 11.0, torch.nan]]])
    nearer, farther = (depth.aims[aim](truth) for aim in ("nearer", "farther"))
    torch.testing.assert_close(nearer, torch.tensor([[[0.0, 0.5, 4.5, 8.55, 11.0, torch.nan]]]), equal_nan=True)
    torch.testing.assert_close(farther, torch.tensor([[[0.0, 0.55, 5.5, 10.0, 11.0, torch.nan]]]), equal_nan=True)


def test_aims_are_of_maps_and_make_their_targets(x):
    system = Model(nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 3)), task=Recognition(classes=3), name="linear")
    with pytest.raises(ConfigError, match="to be none, for answers are no maps; got 'nearer'"):
        PGD(eps=EPS, aim="nearer")(system, x, rng=0)
    with pytest.raises(ConfigError, match="targeted = false with aim"):
        PGD(eps=EPS, aim="nearer", targeted=True)
