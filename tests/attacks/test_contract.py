"""What every image attack in the registry owes, whatever it does: threat, type, determinism, and no side effects."""

from dataclasses import dataclass, replace

import pytest
import torch
from foolbench.attacks import APGD, PGD, AdaptiveEnsemble, AutoAttack, CarliniWagner, ConfidentPGD, RayS, Square
from foolbench.core import (
    Attack,
    BudgetError,
    ConfigError,
    Draws,
    FoolbenchError,
    InputError,
    MinimalAttack,
    attacks,
)
from foolbench.core.norms import size


def test_result_is_inside_the_threat(attack, images, found):
    assert (found.dtype, found.shape, found.requires_grad) == (torch.float32, images.shape, False)
    assert size(found - images, attack.norm).max() <= attack.eps + 1e-6
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(attack.threat.enforce(found, images), attack.threat.project(found, images))


def test_images_that_keep_their_class_have_been_changed(attack, digits_model, images):
    if isinstance(attack, MinimalAttack | ConfidentPGD):
        return  # it gives back what it cannot fool
    attack = replace(attack, eps=attack.eps / 20)
    adversarial = attack(digits_model, images, rng=0)
    kept = digits_model.predict(adversarial) == digits_model.predict(images)
    assert kept.any(), "all are fooled: too easy"
    assert (size(adversarial - images, attack.norm)[kept] > 0).all()


def test_a_seed_is_a_result_and_without_labels_the_predictions_are_left(found, again):
    assert torch.equal(again[0], found)


def test_another_seed_is_another_result(attack, digits_model, images, found):
    assert torch.equal(attack(digits_model, images, rng=4), found) != attack.randomized


def test_a_generator_gives_something_else_every_time(digits_model, images):
    attack, generator = PGD(eps=20 / 255, steps=1), torch.Generator().manual_seed(1)
    assert not torch.equal(*(attack(digits_model, images, rng=generator) for _ in range(2)))


@pytest.mark.parametrize(
    ("name", "facts", "randomized"),
    [
        ("pgd", {"steps": 3, "random_start": False}, False),
        ("bim", {"steps": 3, "random_start": True}, True),
        ("fab", {"steps": 3, "restarts": 2, "norm": "l2", "eps": 1.0}, True),
    ],
    ids=str,
)
def test_it_is_randomized_by_its_parameters(digits_model, images, name, facts, randomized):
    attack = attacks.create(name, {"eps": 20 / 255} | facts)
    assert attack.randomized == randomized
    assert torch.equal(*(attack(digits_model, images, rng=seed) for seed in (3, 4))) != randomized


STOPS = [MinimalAttack, AdaptiveEnsemble, AutoAttack, APGD, RayS, Square]


def test_it_says_whether_it_stops_at_the_boundary(attack):
    assert attack.stops_at_boundary == isinstance(attack, tuple(STOPS))


@pytest.mark.parametrize(
    ("name", "facts", "stops"),
    [
        ("pgd", {"early_stop": True}, True),
        ("bim", {"early_stop": True}, True),
        ("apgd", {"early_stop": False}, False),
        ("carlini-wagner", {"confidence": 3.0}, False),
        ("foolbox:DDNAttack", {"norm": "l2"}, True),
        ("foolbox:L2CarliniWagnerAttack", {"norm": "l2"}, True),
        ("foolbox:L2CarliniWagnerAttack", {"norm": "l2", "confidence": 3.0}, False),
        ("foolbox:LinfPGD", {}, False),
    ],
    ids=str,
)
def test_whether_it_stops_at_the_boundary_is_a_matter_of_parameters(name, facts, stops):
    assert attacks.create(name, {"eps": 0.1} | facts).stops_at_boundary == stops


def test_access_is_what_it_says(attack, again):
    spent = again[1]
    assert (spent["forwards"] > 0) == (attack.access != "none")
    assert (spent["backwards"] > 0) == (attack.access == "gradient")


@pytest.mark.parametrize(
    "spoil", [lambda x: x * 255, lambda x: x - 1, lambda x: x.double(), lambda x: x[:0], lambda x: x[:, 0]]
)
def test_refuses_what_is_no_image(attack, digits_model, images, spoil):
    with pytest.raises(InputError):
        attack(digits_model, spoil(images))


@pytest.mark.parametrize(
    "labels",
    [
        torch.arange(9),
        torch.arange(10.0),
        torch.arange(1, 11),
        torch.arange(-1, 9),
        torch.zeros(10, 10).long(),
        [0] * 10,
    ],
    ids=["too few", "float", "too large", "negative", "one-hot", "list"],
)
def test_refuses_what_are_no_labels(attack, digits_model, images, labels):
    with pytest.raises(InputError, match="labels"):
        attack(digits_model, images, labels)


def test_refuses_streams_for_another_number_of_images(attack, digits_model, images):
    # a single stream would broadcast: the same noise for every image
    with pytest.raises(FoolbenchError):
        attack(digits_model, images, rng=Draws.of(0, samples=[0]))


@dataclass(frozen=True, kw_only=True)
class Rogue(Attack):
    excess: float = 0.0
    access = "none"
    norms = ("linf", "l2")
    may_be_infinite = ("excess",)

    def perturb(self, model, x, y, *, rng):
        step = torch.zeros_like(x)
        step[0, 0, 0, 0] = self.eps + self.excess
        return x + step


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("excess", "refused"), [(0.0, False), (1e-6, False), (1e-3, True), (torch.nan, True)])
def test_an_attack_that_leaves_its_budget_is_an_error(linear_model, mid_images, norm, excess, refused):
    model, x, attack = linear_model(2, (1, 3, 3)), mid_images(2, (1, 3, 3)), Rogue(eps=0.1, norm=norm, excess=excess)
    if refused:
        with pytest.raises(BudgetError):
            attack(model, x)
    else:
        assert size(attack(model, x) - x, norm).max() <= 0.1 + 1e-7


def test_a_target_must_be_given(attack, digits_model, images):
    try:
        targeted = replace(attack, targeted=True)
    except ConfigError:
        return  # the attack has no targeted form, and says so
    with pytest.raises(ConfigError, match="needs y"):
        targeted(digits_model, images)


def test_a_batch_changes_no_image(attack, digits_model, images, found):
    rng = Draws.of(0, samples=range(10))
    for rows in (torch.tensor([3]), torch.tensor([9, 0, 4])):
        apart = attack(digits_model, images[rows], rng=rng[rows])
        torch.testing.assert_close(apart, found[rows], rtol=0, atol=2e-4)


def test_pixels_at_the_bounds_move(attack, digits_model):
    if attack.access == "none":
        return
    if isinstance(attack, CarliniWagner):
        attack = replace(attack, searches=5, steps=40)  # its tanh variable is slow to leave black and white
    x = (torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    assert ((attack(digits_model, x, rng=0) - x).abs().flatten(1).amax(dim=1) > 0).any()


def test_one_label_for_the_whole_batch(attack, digits_model, images, found):
    y = torch.full((10,), int(digits_model.predict(images)[0]))
    torch.testing.assert_close(attack(digits_model, images, y, rng=0)[:1], found[:1], rtol=0, atol=2e-4)


def test_minimal_attacks_leave_the_misclassified_alone(attack, digits_model, images):
    if isinstance(attack, MinimalAttack):
        wrong = (digits_model.predict(images) + 1) % 10
        assert torch.equal(attack(digits_model, images, wrong, rng=0), images)
