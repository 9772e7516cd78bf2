"""An attack or a defense that changes the network is found out, and what it did is undone."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.core import (
    Attack,
    InputTransform,
    LearnedTransform,
    UniversalAttack,
    register_attack,
    register_defense,
)
from foolbench.defenses import BitDepth
from torch import nn


def _zero(model):
    for tensor in model.net.state_dict().values():
        tensor.zero_()


def _replace(model):
    model.net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def _brighten(model):
    model._normalization.mean += 1


def _defend(model):
    model.shells = BitDepth(bits=1).defend(model).shells


VANDALS = {
    "weights": _zero,
    "network": _replace,
    "module": lambda model: model.net.add_module("conv1", nn.Identity()),
    "parameter": lambda model: setattr(model.net.conv1, "weight", nn.Parameter(0 * model.net.conv1.weight)),
    "mode": lambda model: model.net.train(),
    "hook": lambda model: model.net.register_forward_hook(lambda module, inputs, output: -output),
    "normalisation": _brighten,
    "shells": _defend,
    "precision": lambda model: model.net.double(),
    "shape": lambda model: setattr(next(model.net.parameters()), "data", torch.zeros(3)),
}


OTHERS = "{name='uniform-noise'}, {name='fgsm'}"


@pytest.fixture(scope="module")
def memory():
    return {}


@pytest.fixture
def alone(execute, memory):
    """The table of the other attacks; it is made once."""
    if "table" not in memory:
        memory["table"] = execute("alone", f"attacks=[{OTHERS}]")
    return memory["table"]


@pytest.mark.parametrize("fails", [False, True], ids=["and goes on", "and raises"])
@pytest.mark.parametrize("what", VANDALS)
def test_an_attack_that_changes_the_model_is_refused_and_harms_no_other(execute, alone, what, fails):
    """Nor is another one blamed for it, which uniform noise would be, as the next to be carried out."""

    @register_attack("vandal")
    @dataclass(frozen=True, kw_only=True)
    class Vandal(Attack):
        """Makes every image a success."""

        access = "gradient"

        def perturb(self, model, x, y, *, rng):
            VANDALS[what](model)
            if fails:
                raise RuntimeError("no more")
            return x

    table = execute("out", f"attacks=[{{name='vandal'}}, {OTHERS}]")
    spoilt = table.attack == "vandal"
    assert set(table[spoilt].status) == {"error"}
    assert table[spoilt].error.str.contains("has changed digits:convnet").all()
    found = table[~spoilt].reset_index(drop=True)
    assert found[["clean", "gfr", "robust"]].equals(alone[["clean", "gfr", "robust"]])


@pytest.mark.parametrize("kind", ["image", "universal"])
def test_what_such_an_attack_has_made_is_not_found_by_a_later_run(execute, kind):
    @register_attack("vandal")
    @dataclass(frozen=True, kw_only=True)
    class Vandal(Attack if kind == "image" else UniversalAttack):
        """Makes every image a success."""

        access = "gradient"

        def perturb(self, model, x, y, *, rng):
            _zero(model)
            return x

        def search(self, model, data, *, rng):
            _zero(model)
            return torch.zeros(model.shape)

    for folder in ("out", "out", "another"):
        table = execute(folder, "attacks=[{name='vandal'}]")
        assert table.error.str.contains("has changed digits:convnet").all()


def test_one_that_changes_the_model_while_it_learns_is_refused_and_harms_no_other(execute):
    @register_defense("vandal")
    @dataclass(frozen=True, kw_only=True)
    class Vandal(LearnedTransform):
        """Learns nothing."""

        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = False
        needs_model: ClassVar[bool] = True

        def learn(self, data, *, rng):
            data.model.net.register_forward_hook(lambda module, inputs, output: -output)
            return {"nothing": torch.zeros(1)}

        def transform(self, x, learned, *, rng):
            return x

    alone = execute("alone", "attacks=[{name='fgsm'}]", "defenses=[]")
    for folder in ("out", "another"):  # nothing of it is found by a later run
        table = execute(folder, "attacks=[{name='fgsm'}]", "defenses=[{name='vandal'}]").set_index("defense")
        assert "vandal cannot learn: ConfigError: Vandal has changed digits:convnet" in table.error["vandal"]
        assert table.loc[["none"], ["clean", "gfr"]].to_numpy().tolist() == alone[["clean", "gfr"]].to_numpy().tolist()


def test_a_network_is_not_blamed_for_a_defense_whose_attack_is_the_next_unit(execute):
    @register_defense("unteachable")
    @dataclass(frozen=True, kw_only=True)
    class Unteachable(LearnedTransform):
        """Learns nothing."""

        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = False

        def learn(self, data, *, rng):
            raise ValueError("no")

        def transform(self, x, learned, *, rng):
            return x

    settings = ("attacks=[{name='fgsm'}]", "knowledge=['oblivious', 'adaptive']", "batch_size=64")
    table = execute("out", *settings, "defenses=[{name='unteachable'}]", crafted_anew=False)
    assert table.groupby("defense").status.unique().map(list).to_dict() == {"none": ["ok"], "unteachable": ["error"]}


@pytest.mark.parametrize("when", ["defend", "transform"])
def test_a_defense_that_changes_the_model_is_refused_and_harms_no_other(execute, when):
    networks = []

    @register_defense("vandal")
    @dataclass(frozen=True, kw_only=True)
    class Vandal(InputTransform):
        """Turns the network upside down."""

        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = False

        def defend(self, model):
            networks.append(model)
            if when == "defend":
                _zero(model)
            return super().defend(model)

        def transform(self, x, *, rng):
            if when == "transform":
                _zero(networks[-1])
            return x

    settings = ("attacks=[{name='fgsm'}, {name='pgd', steps=2}]", "batch_size=8")
    both = "knowledge=['oblivious', 'adaptive']"
    alone = execute("alone", *settings, both, "defenses=[{name='jpeg'}]")
    table = execute("out", *settings, both, "defenses=[{name='vandal'}, {name='jpeg'}]")
    spoilt = table.defense == "vandal"
    assert set(table[spoilt].status) == {"error"}
    assert table[spoilt].error.str.contains("vandal").all()
    found = table[~spoilt].reset_index(drop=True)
    assert found[["clean", "gfr", "robust"]].equals(alone[["clean", "gfr", "robust"]])
