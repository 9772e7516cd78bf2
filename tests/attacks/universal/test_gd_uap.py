"""GD-UAP: its objective and gradient by hand, its bound at every step, its bookkeeping, and what it may look at."""

import math

import pytest
import torch
from foolbench.attacks import GDUAP
from foolbench.attacks.universal import priors
from foolbench.attacks.universal._validation import BestSoFar
from foolbench.attacks.universal.gd_uap import FeatureAscent
from foolbench.core import ConfigError, CraftingData, Draws, InputError, Model, Perturbation
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (2, 6, 7)


@pytest.fixture(autouse=True)
def small_pool(monkeypatch):
    monkeypatch.setattr(priors, "POOL", 16)


def bias_free_net() -> nn.Sequential:
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 5, 3, padding=1, bias=False), nn.ReLU(), nn.Conv2d(5, 4, 3, bias=False), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4 * 5, 3, bias=False))


def wrap(net: nn.Module | None = None, features=("1", "3"), **facts) -> Model:
    return Model(net or bias_free_net(), task=Recognition(classes=3), features=features, **facts)


def forbidden() -> torch.Tensor:
    raise AssertionError("a data-free attack read the task's images")


def uniform(count: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    return scale * torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(seed))


def crafting(load_training=forbidden, **facts) -> CraftingData:
    return CraftingData(validation=uniform(20), load_training=load_training, **facts)


def spy_on_inputs(model: Model) -> list[torch.Tensor]:
    """What the network is shown from now on; without prior and mean that is the perturbation of each iteration."""
    seen, features = [], model.features
    model.features = lambda x: (seen.append(x.detach().clone()), features(x))[1]
    return seen


def gradient(model: Model, pool: torch.Tensor, delta: torch.Tensor, batch_size: int = 25) -> torch.Tensor:
    ascent = FeatureAscent(model, pool, GDUAP(eps=0.1, batch_size=batch_size), Draws.of(0, samples=[0]))
    ascent.delta.data.copy_(delta)
    ascent.step()
    return ascent.delta.grad


@pytest.fixture
def delta():
    return 0.1 * (2 * uniform(1, seed=7)[0] - 1)


@pytest.fixture
def scripted(monkeypatch):
    """Replace the fooling rates by given ones; the list that is returned fills with the candidates judged."""

    def script(rates):
        judged = []
        judge = lambda self, delta: (judged.append(delta.detach().clone()), rates[len(judged) - 1])[1]  # noqa: E731
        monkeypatch.setattr(BestSoFar, "_fooling_rate", judge)
        return judged

    return script


@pytest.mark.parametrize("images", [1, 3])
def test_gradient_is_that_of_minus_the_log_of_the_product_of_pooled_energies(delta, images):
    model, net = wrap(), bias_free_net().double()
    shown = spy_on_inputs(model)
    found = gradient(model, uniform(images, seed=3), delta, batch_size=4)
    assert len(shown[0]) == (1 if images == 1 else 4)
    variable = torch.zeros(SHAPE, dtype=torch.float64, requires_grad=True)
    first = net[1](net[0](shown[0].double() + variable))
    second = net[3](net[2](first))
    half_squares = 0.5 * (first**2).sum() * 0.5 * (second**2).sum()  # over the batch, too, before the logarithm
    expected = torch.autograd.grad(-torch.log(half_squares), variable)[0]
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


def test_no_data_gradient_does_not_depend_on_the_batch_size(delta):
    batch = torch.zeros(1, *SHAPE)
    alone, many = (gradient(wrap(), batch.expand(size, *SHAPE), delta) for size in (1, 25))
    torch.testing.assert_close(many, alone, rtol=1e-5, atol=1e-6)
    crafted = [
        GDUAP(eps=0.1, batch_size=size, max_iterations=20).craft(wrap(), crafting(), rng=0).delta for size in (1, 25)
    ]
    assert torch.equal(*crafted)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_scaling_delta_shifts_the_loss_of_a_bias_free_net_by_minus_k_log_a_squared(delta, scale):
    # loss(a delta) = loss(delta) - K log a^2: its gradient falls with 1/a, and <gradient, delta> = -2K (Euler)
    batch, layers = torch.zeros(1, *SHAPE), 2
    torch.testing.assert_close(gradient(wrap(), batch, scale * delta), gradient(wrap(), batch, delta) / scale)
    assert float((gradient(wrap(), batch, scale * delta) * scale * delta).sum()) == pytest.approx(-2 * layers, rel=1e-4)


def test_a_layers_scale_leaves_the_gradient_alone(delta):
    scaled = bias_free_net()
    scaled[0].weight.data *= 5
    scaled[2].weight.data /= 5
    batch = uniform(2)
    torch.testing.assert_close(
        gradient(wrap(scaled), batch, delta), gradient(wrap(), batch, delta), rtol=1e-4, atol=1e-5
    )


def test_a_dead_layer_has_no_say(delta):
    dead = bias_free_net()
    dead[2].weight.data.zero_()
    batch = uniform(2)
    torch.testing.assert_close(
        gradient(wrap(dead), batch, delta), gradient(wrap(features=("1",)), batch, delta), rtol=1e-5, atol=1e-6
    )


def test_finds_the_closed_form_optimum_of_one_linear_feature(scripted, mid_images):
    # |w . delta| over the cube is largest at eps sign(w), up to its sign
    layer = nn.Linear(math.prod(SHAPE), 3, bias=False)
    row = torch.randn(math.prod(SHAPE), generator=torch.Generator().manual_seed(0))
    layer.weight.data = torch.stack([row, 2 * row, -row])
    model = wrap(nn.Sequential(nn.Flatten(), layer), features=("1",))
    scripted([0.5])
    delta = (
        GDUAP(eps=0.1, max_iterations=300, learning_rate=0.1, saturation=1.0)
        .craft(model, crafting(), rng=0)
        .delta.flatten()
    )
    product = float(row @ delta)
    torch.testing.assert_close(delta, 0.1 * math.copysign(1, product) * row.sign(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("eps", [10 / 255, 0.1])
def test_never_leaves_the_bound_and_halves_when_it_comes_to_rest(eps):
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


def test_without_saturation_nothing_is_halved():
    model = wrap()
    visited = spy_on_inputs(model)
    GDUAP(eps=0.1, learning_rate=0.2, max_iterations=60, saturation=1.0).craft(model, crafting(), rng=0)
    assert visited[-1].abs().max() == torch.tensor(0.1)


def test_validates_however_often_it_halves():
    told, model = [], wrap()
    visited = spy_on_inputs(model)
    data = crafting(progress=lambda done, limit, best: told.append(done))
    GDUAP(eps=0.1, learning_rate=0.5, max_iterations=90, validate_every=20, settle=1000).craft(model, data, rng=0)
    assert sum(delta.abs().max() <= 0.0501 for delta in visited) > 5, "too few halvings to starve the validation"
    assert told == [20, 40, 60, 80, 90]


def test_returns_the_best_so_far(scripted):
    judged = scripted([0.2, 0.9, 0.1, 0.9, 0.3])
    told = []
    data = crafting(progress=lambda *report: told.append(report))
    crafted = GDUAP(eps=0.1, max_iterations=25, validate_every=5).craft(wrap(), data, rng=0)
    assert len(judged) == 5
    assert torch.equal(crafted.delta, judged[1])
    assert not torch.equal(judged[1], judged[3])
    assert told == [(5, 25, 0.2), (10, 25, 0.9), (15, 25, 0.9), (20, 25, 0.9), (25, 25, 0.9)]


@pytest.mark.parametrize(
    ("rates", "patience", "validations"),
    [([0.5] * 50, 3, 4), ([0.1, 0.0, 0.0, 0.2, 0.1, 0.2, 0.2] + [0.9] * 9, 3, 7), ([0.0] * 50, 1, 2)],
)
def test_patience(scripted, rates, patience, validations):
    judged = scripted(rates)
    GDUAP(eps=0.1, max_iterations=100, validate_every=2, patience=patience).craft(wrap(), crafting(), rng=0)
    assert len(judged) == validations


def test_the_last_iteration_is_judged(scripted):
    judged = scripted([0.5])
    crafted = GDUAP(eps=0.1, max_iterations=7).craft(wrap(), crafting(), rng=0)
    assert torch.equal(crafted.delta, judged[0])


def test_fooling_rate_by_hand():
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
def test_a_seed_is_a_result(prior):
    attack = GDUAP(eps=0.1, prior=prior, max_iterations=8, batch_size=4)
    data = crafting(lambda: uniform(5, seed=9))
    first, again, other = (attack.craft(wrap(), data, rng=seed).delta for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("prior", "calls"), [("none", 0), ("range", 0), ("data", 1)])
def test_only_the_data_prior_reads_training_images(prior, calls):
    count = 0

    def load_training():
        nonlocal count
        count += 1
        return uniform(5, seed=9)

    GDUAP(eps=0.1, prior=prior, max_iterations=3).craft(wrap(), crafting(load_training), rng=0)
    assert count == calls


def test_passes_and_source(tmp_path):
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
    data, before = CraftingData(validation=images.clone(), load_training=forbidden), digits_model.sha
    GDUAP(eps=0.1, max_iterations=5).craft(digits_model, data)
    assert torch.equal(data.validation, images)
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())
    assert digits_model.sha == before


def test_a_model_without_feature_layers():
    with pytest.raises(ConfigError, match="names no feature layers"):
        GDUAP(eps=0.1).craft(wrap(features=()), crafting())


def test_validation_images_that_the_model_refuses():
    with pytest.raises(InputError, match=r"\(N, 2, 5, 5\)"):
        GDUAP(eps=0.1).craft(wrap(shape=(2, 5, 5)), crafting())
    with pytest.raises(InputError, match="normalisation"):
        GDUAP(eps=0.1).craft(wrap(), CraftingData(validation=uniform(2, scale=255), load_training=forbidden))


@pytest.mark.parametrize("facts", [{"batch_size": 0}, {"learning_rate": -1}, {"max_iterations": 0}, {"patience": 0}])
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))} > 0"):
        GDUAP(eps=0.1, **facts)


def test_bad_prior():
    with pytest.raises(ConfigError, match="none, range, data, got 'magic'"):
        GDUAP(eps=0.1, prior="magic")
