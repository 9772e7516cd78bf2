"""A small bias-free network, what to craft on it, and a look at what the search shows it; tests ask for these."""

import pytest
import torch
from foolbench.attacks.universal import priors
from foolbench.attacks.universal._validation import BestSoFar
from foolbench.core import CraftingData, Model
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (2, 6, 7)


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
    model.features = lambda x, rng=None: (seen.append(x.detach().clone()), features(x, rng=rng))[1]
    return seen


@pytest.fixture(name="bias_free_net", scope="session")
def bias_free_net_fixture():
    return bias_free_net


@pytest.fixture(name="wrap", scope="session")
def wrap_fixture():
    return wrap


@pytest.fixture(name="uniform", scope="session")
def uniform_fixture():
    return uniform


@pytest.fixture(name="crafting", scope="session")
def crafting_fixture():
    return crafting


@pytest.fixture(name="spy_on_inputs", scope="session")
def spy_on_inputs_fixture():
    return spy_on_inputs


@pytest.fixture(autouse=True, scope="module")
def small_pool():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(priors, "POOL", 16)
        yield


@pytest.fixture
def scripted(monkeypatch):
    """Replace the fooling rates by given ones; the list that is returned fills with the candidates judged."""

    def script(rates):
        judged = []
        judge = lambda self, delta: (judged.append(delta.detach().clone()), rates[len(judged) - 1])[1]  # noqa: E731
        monkeypatch.setattr(BestSoFar, "_fooling_rate", judge)
        return judged

    return script
