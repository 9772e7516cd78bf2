"""GD-UAP's search: its bound at every step, its bookkeeping, and what it may look at."""

from types import SimpleNamespace

import pytest
import torch
from foolbench.attacks import FFF, GDUAP
from foolbench.attacks.universal._validation import BestSoFar
from foolbench.core import ConfigError, CraftingData, GradientError, InputError, Perturbation
from torch import nn

SHAPE = (2, 6, 7)


@pytest.mark.parametrize("eps", [10 / 255, 0.1])
def test_never_leaves_the_bound_and_halves_when_it_comes_to_rest(eps, wrap, crafting, spy_on_inputs):
    model = wrap()
    visited = spy_on_inputs(model)
    attack = GDUAP(eps=eps, learning_rate=0.2, max_iterations=120, validate_every=1000)
    crafted = attack.craft(model, crafting(), rng=0)
    bound = torch.tensor(eps, dtype=torch.float32)
    assert len(visited) == 120
    assert all(delta.dtype == torch.float32 and delta.abs().max() <= bound for delta in visited)
    assert (crafted.delta.dtype, crafted.delta.shape) == (torch.float32, SHAPE)
    assert crafted.delta.abs().max() <= bound
    halvings = [i for i in range(1, 120) if visited[i].abs().max() <= bound / 2]
    assert halvings, "the perturbation was never halved"
    for i in halvings:
        assert ((visited[i - 1].abs() >= 0.8 * bound).float().mean() > 0.5).item(), "halved before it was saturated"


def test_without_saturation_nothing_is_halved(wrap, crafting, spy_on_inputs):
    model = wrap()
    visited = spy_on_inputs(model)
    GDUAP(eps=0.1, learning_rate=0.2, max_iterations=60, saturation=1.0).craft(model, crafting(), rng=0)
    assert visited[-1].abs().max() == torch.tensor(0.1)


def test_validates_however_often_it_halves(wrap, crafting, spy_on_inputs):
    validated, model = [], wrap()
    visited = spy_on_inputs(model)
    keeper = SimpleNamespace(load=dict, save=lambda state: validated.append(int(state["iteration"])))
    data = crafting(checkpoint=keeper)
    GDUAP(eps=0.1, learning_rate=0.5, max_iterations=90, validate_every=20, settle=1000).craft(model, data, rng=0)
    assert sum(delta.abs().max() <= 0.0501 for delta in visited) > 5, "too few halvings to starve the validation"
    assert validated == [20, 40, 60, 80, 90]


def test_returns_the_best_so_far(scripted, wrap, crafting):
    judged = scripted([0.2, 0.9, 0.1, 0.9, 0.3])
    told = []
    data = crafting(progress=lambda *report: told.append(report))
    crafted = GDUAP(eps=0.1, max_iterations=25, validate_every=5).craft(wrap(), data, rng=0)
    assert len(judged) == 5
    assert torch.equal(crafted.delta, judged[1])
    assert not torch.equal(judged[1], judged[3])
    assert told == [(done, 25, -1 if done < 5 else 0.2 if done < 10 else 0.9) for done in range(26)]


@pytest.mark.parametrize(
    ("rates", "patience", "validations"),
    [([0.5] * 50, 3, 4), ([0.1, 0.0, 0.0, 0.2, 0.1, 0.2, 0.2] + [0.9] * 9, 3, 7), ([0.0] * 50, 1, 2)],
)
def test_patience(scripted, rates, patience, validations, wrap, crafting):
    judged = scripted(rates)
    GDUAP(eps=0.1, max_iterations=100, validate_every=2, patience=patience).craft(wrap(), crafting(), rng=0)
    assert len(judged) == validations


def test_the_last_iteration_is_judged(scripted, wrap, crafting):
    judged = scripted([0.5])
    crafted = GDUAP(eps=0.1, max_iterations=7).craft(wrap(), crafting(), rng=0)
    assert torch.equal(crafted.delta, judged[0])


def test_fooling_rate_by_hand(wrap, uniform):
    images = uniform(300)  # more than one chunk
    model = wrap()
    best = BestSoFar(model, images)
    best.offer(torch.zeros(SHAPE))
    assert (best.rate, best.failures) == (0, 0)
    best.offer(torch.zeros(SHAPE))
    assert (best.rate, best.failures) == (0, 1)
    delta = uniform(1, seed=5)[0] - 0.5
    best.offer(delta)
    changed = model.predict((images + delta).clamp(0, 1)) != model.predict(images)
    assert best.rate == pytest.approx(float(changed.float().mean()))
    assert 0 < best.rate < 1
    assert torch.equal(best.delta, delta)
    delta += 1
    assert not torch.equal(best.delta, delta), "kept a reference to what the search goes on changing"


@pytest.mark.parametrize("prior", ["none", "range", "data"])
def test_a_seed_is_a_result(prior, wrap, uniform, crafting):
    attack = GDUAP(eps=0.1, prior=prior, max_iterations=8, batch_size=4)
    data = crafting(lambda: uniform(5, seed=9))
    first, again, other = (attack.craft(wrap(), data, rng=seed).delta for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("prior", "calls"), [("none", 0), ("range", 0), ("data", 1)])
def test_only_the_data_prior_reads_training_images(prior, calls, wrap, uniform, crafting):
    count = 0

    def load_training():
        nonlocal count
        count += 1
        return uniform(5, seed=9)

    GDUAP(eps=0.1, prior=prior, max_iterations=3).craft(wrap(), crafting(load_training), rng=0)
    assert count == calls


def test_passes_and_source(tmp_path, wrap, crafting):
    model = wrap(name="net")
    attack = GDUAP(eps=0.1, max_iterations=10, validate_every=5)
    crafted = attack.craft(model, crafting(), rng=0)
    assert (model.passes.forwards, model.passes.backwards) == (20 + 10 + 2 * 20, 10)
    assert crafted.source == f"{attack!r} on net {model.sha}"
    assert crafted.threat == attack.threat
    crafted.save(tmp_path / "delta")
    assert torch.equal(Perturbation.load(tmp_path / "delta").delta, crafted.delta)


def test_touches_nothing(digits_model):
    images = torch.rand(10, 1, 8, 8)
    data, before = CraftingData(validation=images.clone(), load_training=list), digits_model.sha
    GDUAP(eps=0.1, max_iterations=5).craft(digits_model, data)
    assert torch.equal(data.validation, images)
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())
    assert digits_model.sha == before


def test_a_model_without_feature_layers(wrap, crafting):
    with pytest.raises(ConfigError, match="names no feature layers"):
        GDUAP(eps=0.1).craft(wrap(features=()), crafting())


def test_validation_images_that_the_model_refuses(wrap, uniform, crafting):
    with pytest.raises(InputError, match=r"\(N, 2, 5, 5\)"):
        GDUAP(eps=0.1).craft(wrap(shape=(2, 5, 5)), crafting())
    with pytest.raises(InputError, match="by 255"):
        GDUAP(eps=0.1).craft(wrap(), CraftingData(validation=uniform(2, scale=255), load_training=list))


@pytest.mark.parametrize("facts", [{"batch_size": 0}, {"learning_rate": -1}, {"max_iterations": 0}, {"patience": 0}])
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))} > 0"):
        GDUAP(eps=0.1, **facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"settle": -1},
        {"saturation": -0.1},
        {"saturation": 1.1},
        {"saturation": torch.nan},
        {"saturation_change": -1e-5},
    ],
    ids=str,
)
def test_bad_rest(facts):
    with pytest.raises(ConfigError, match=f"xpected .*{next(iter(facts))}"):
        GDUAP(eps=0.1, **facts)


class Broken(nn.Module):
    """Finite features whose gradient at dark pixels is NaN, that of the branch not taken."""

    def forward(self, x):
        return torch.where(x > 0.9, torch.sqrt(x - 0.9), 1.0)


@pytest.mark.parametrize("attack", [GDUAP(eps=0.1), FFF(eps=0.1)], ids=lambda attack: type(attack).__name__)
def test_a_nan_gradient_is_an_error(attack, wrap, crafting):
    net = nn.Sequential(Broken(), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(1, *SHAPE))
    with pytest.raises(GradientError, match="NaN"):
        attack.craft(wrap(net, features=("0",)), crafting(), rng=0)


def test_bad_prior():
    with pytest.raises(ConfigError, match="none, range, data, less-background, got 'magic'"):
        GDUAP(eps=0.1, prior="magic")
