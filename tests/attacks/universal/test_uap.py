"""UAP: the paper's algorithm at batch size 1, its invariants at any, and as much fooling in batches."""

import pytest
import torch
from foolbench.attacks import UAP, DeepFool
from foolbench.attacks.universal._validation import predictions
from foolbench.core import ConfigError, CraftingData, Draws, InputError
from foolbench.core.norms import project, size
from foolbench.datasets.digits import Digits

EPS = 40 / 255
SIZES = {"linf": EPS, "l2": 1.2}


@pytest.fixture(scope="module")
def images():
    return Digits().training(400)[0].float() / 255


@pytest.fixture(scope="module")
def evaluation():
    return Digits().load(range(512))[0]


def crafting(images, **facts) -> CraftingData:
    return CraftingData(validation=images[:64], load_training=lambda: images, **facts)


def fooled(model, x, delta) -> float:
    return float((predictions(model, x, delta) != predictions(model, x)).float().mean())


@pytest.fixture
def updates(monkeypatch):
    """The perturbation before and after each update, and the images it was for."""
    seen, update = [], UAP._update

    def spy(self, model, delta, x, y, rng):
        after = update(self, model, delta, x, y, rng)
        seen.append((delta, after, x, y))
        return after

    monkeypatch.setattr(UAP, "_update", spy)
    return seen


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_batch_size_1_is_the_papers_algorithm(digits_model, images, norm):
    eps, few = SIZES[norm], images[:40]
    data = crafting(few)
    found = UAP(eps=eps, norm=norm, batch_size=1, passes=1).craft(digits_model, data, rng=Draws.of(0, samples=[0]))
    v, order = torch.zeros(1, 8, 8), Draws.of(0, samples=[0]).fork(1).uniform((40,))[0].argsort()
    for i in order:
        x = few[i : i + 1]
        point = (x + v).clamp(0, 1)
        if digits_model.predict(point) == digits_model.predict(x):
            nearest = DeepFool(steps=10)(digits_model, point)
            v = project(v + (nearest - point), norm, eps)
    torch.testing.assert_close(found.delta, v[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("batch_size", [1, 8])
def test_stays_within_the_bound_and_learns_from_the_unfooled_only(digits_model, images, updates, norm, batch_size):
    attack = UAP(eps=SIZES[norm] / 2, norm=norm, batch_size=batch_size, passes=2, target_rate=1)
    attack.craft(digits_model, crafting(images[:24]), rng=0)
    assert len(updates) == 2 * 24 // batch_size
    saturated = False
    for before, after, x, y in list(updates):  # what is called below is recorded as well
        assert size(after[None], norm)[0] <= attack.eps * (1 + 1e-6)
        saturated |= bool(size(after[None], norm)[0] > attack.eps * (1 - 1e-6))
        draws = Draws.of(0, samples=range(len(x)))
        resisting = digits_model.predict((x + before).clamp(0, 1)) == y
        assert torch.equal(before, after) != bool(resisting.any())
        left_out = (
            attack._update(digits_model, before, x[resisting], y[resisting], draws[resisting])
            if resisting.any()
            else before
        )
        torch.testing.assert_close(after, left_out, rtol=0, atol=1e-5)
    assert saturated


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("eps", [1.0, 0.05])
def test_one_image_is_projected_deepfool(digits_model, images, norm, eps):
    x = images[:1]
    found = UAP(eps=eps, norm=norm, passes=1).craft(digits_model, crafting(x), rng=0)
    expected = project(DeepFool(steps=10)(digits_model, x) - x, norm, eps)
    torch.testing.assert_close(found.delta, expected[0], rtol=0, atol=1e-6)


def test_a_batch_moves_as_far_as_updates_that_agree(linear_model, mid_images):
    # on an affine model of two classes all changes are parallel, and the order of the updates is nothing
    model, x = linear_model(2, (1, 4, 4)), mid_images(60, (1, 4, 4))
    x = x[model.predict(x) == 0][:9]
    changes = (DeepFool()(model, x) - x).sum(dim=0)
    found = UAP(eps=1e3, norm="l2", passes=1).craft(model, crafting(x), rng=0)
    torch.testing.assert_close(found.delta, 3 * changes, rtol=1e-5, atol=1e-6)
    assert fooled(model, x, found.delta) == 1


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.3), ("l2", 2.0)])
def test_in_batches_it_fools_as_many(digits_model, images, evaluation, norm, eps):
    data = CraftingData(validation=images[-128:], load_training=lambda: images[:64])
    rates = {1: [], 32: []}
    for batch_size, found in rates.items():
        attack = UAP(eps=eps, norm=norm, batch_size=batch_size, passes=3, target_rate=1)
        found += [
            fooled(digits_model, evaluation, attack.craft(digits_model, data, rng=seed).delta) for seed in (0, 1, 2)
        ]
    assert sum(rates[1]) / 3 > 0.3, "nothing to compare"
    assert sum(rates[32]) >= sum(rates[1])


def test_the_target_rate_on_the_crafting_images_ends_the_search(digits_model, images):
    told = []
    data = crafting(images[:200], progress=lambda *report: told.append(report))
    found = UAP(eps=1.0, target_rate=0.3, batch_size=50).craft(digits_model, data, rng=0)
    assert [done for done, _, _ in told[:5]] == [0, 1, 2, 3, 4]  # four batches are a pass
    assert told[-1][0] < told[-1][1] == 10 * 4
    assert told[-1][0] % 4 == 0
    assert told[-1][2] == pytest.approx(fooled(digits_model, data.validation, found.delta))
    assert fooled(digits_model, images[:200], found.delta) >= 0.3


def test_nothing_is_fooled_without_a_perturbation(digits_model, images):
    assert fooled(digits_model, images, torch.zeros(1, 8, 8)) == 0


def test_the_best_pass_on_the_substitutes_counts(scripted, digits_model, images):
    judged = scripted([0.1, 0.4, 0.2])
    found = UAP(eps=0.05, passes=3, target_rate=1).craft(digits_model, crafting(images[:64]), rng=0)
    assert len(judged) == 3
    assert torch.equal(found.delta, judged[1])
    assert not torch.equal(judged[1], judged[2])


def test_a_seed_is_a_result(digits_model, images):
    first, again, other = (
        UAP(eps=EPS, passes=1, batch_size=16).craft(digits_model, crafting(images[:64]), rng=seed).delta
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("prior", "calls"), [("none", 0), ("range", 0), ("data", 1)])
def test_only_the_data_prior_reads_training_images(digits_model, images, prior, calls):
    read = []
    data = CraftingData(validation=images[:20], load_training=lambda: read.append(1) or images[:20])
    UAP(eps=EPS, prior=prior, passes=2).craft(digits_model, data, rng=0)
    assert len(read) == calls


def test_touches_nothing(digits_model, images):
    data, before = crafting(images[:32].clone()), digits_model.sha
    UAP(eps=EPS, passes=1).craft(digits_model, data)
    assert torch.equal(data.load_training(), images[:32])
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())
    assert digits_model.sha == before


def test_training_images_of_another_shape(digits_model, images):
    data = CraftingData(validation=images[:20], load_training=lambda: torch.zeros(5, 1, 9, 9))
    with pytest.raises(InputError, match=r"\(N, 1, 8, 8\)"):
        UAP(eps=EPS).craft(digits_model, data)


@pytest.mark.parametrize(
    "facts", [{"batch_size": 0}, {"passes": 0}, {"target_rate": 0}, {"target_rate": 1.1}, {"classes": 1}, {"steps": 0}]
)
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"Expected .*{next(iter(facts))}"):
        UAP(eps=EPS, **facts)
