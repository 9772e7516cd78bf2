"""Names lead to classes, wrong names to the nearest right one, and untrusted parameters to a sentence."""

from dataclasses import dataclass
from fractions import Fraction

import foolbench.attacks
import foolbench.defenses  # registers them
import pytest
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Registry, UnknownNameError, attacks, defenses
from foolbench.core.errors import FoolbenchError
from foolbench.core.registry import BESIDE_AN_ATTACK
from foolbench.evaluation.recipe.entries import NamedAttack


@dataclass(frozen=True, kw_only=True)
class Thing:
    size: int = 3
    label: str = "a"

    def __post_init__(self):
        if self.size < 1:
            raise ConfigError(f"Expected size >= 1, got {self.size}.")


@pytest.fixture
def things():
    registry = Registry("thing")
    assert registry.register("small-thing")(Thing) is Thing
    return registry


def test_create(things):
    assert things["small-thing"] is Thing
    assert things.create("small-thing", {}) == Thing()
    assert things.create("small-thing", {"size": 5, "label": "b"}) == Thing(size=5, label="b")


def test_a_name_is_given_once(things):
    things.register("small-thing")(Thing)
    with pytest.raises(ConfigError, match=r"thing name 'small-thing' belongs to .*Thing"):
        things.register("small-thing")(type("Other", (), {}))


def test_iteration_is_sorted(things):
    things.register("a-thing")(type("A", (), {}))
    assert list(things) == ["a-thing", "small-thing"]


@pytest.mark.parametrize(
    ("name", "hint"), [("smal-thing", "did you mean 'small-thing'"), ("qqq", "choose from small-thing")]
)
def test_unknown_name(things, name, hint):
    for look_up in (things.__getitem__, lambda name: things.create(name, {})):
        with pytest.raises(UnknownNameError, match=f"Unknown thing '{name}': {hint}") as caught:
            look_up(name)
        assert isinstance(caught.value, LookupError)
        assert isinstance(caught.value, FoolbenchError)


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({"siez": 5}, "small-thing.*'siez'.*did you mean 'size'"),
        ({"size": "many"}, r"small-thing\.size.*'many'"),
        ({"size": 2.5}, r"small-thing\.size.*2\.5"),
        ({"size": None}, r"small-thing\.size"),
        ({"size": 0}, r"thing small-thing: Expected size >= 1, got 0\."),
    ],
)
def test_bad_parameters(things, parameters, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        things.create("small-thing", parameters)
    assert "\n" not in str(caught.value)


def test_a_parameter_without_a_default_is_asked_for(things):
    things.register("sized")(lambda *, size: size)
    with pytest.raises(ConfigError, match="thing sized lacks the parameter 'size'"):
        things.bind("sized", {})


def test_sets_are_no_plain_values(things):
    """They print otherwise in every process, and so would what is named by them."""

    @things.register("thing-of-kinds")
    @dataclass(frozen=True, kw_only=True)
    class OfKinds:
        kinds: frozenset[str] = frozenset({"a", "b"})

    with pytest.raises(ConfigError, match=r"thing-of-kinds\.kinds: Expected a plain value.*got frozenset"):
        things.create("thing-of-kinds", {})


def test_a_parameter_that_recipes_understand_otherwise_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class ManyStarts(PGD):
        seeds: int = 3

    with pytest.raises(ConfigError, match="attack many-starts has a parameter 'seeds'"):
        attacks.register("many-starts")(ManyStarts)
    assert "many-starts" not in attacks
    assert set(BESIDE_AN_ATTACK) == set(NamedAttack.model_fields)


def test_every_shipped_class_is_registered():
    assert {"fgsm", "pgd", "uniform-noise", "random-sign", "gd-uap"} <= set(attacks)
    assert {"jpeg", "bit-depth", "gaussian", "median"} <= set(defenses)


def test_attack_from_a_recipe():
    assert attacks.create("pgd", {"eps": "8/255", "steps": 3}) == PGD(eps=8 / 255, steps=3)
    for name in attacks:
        eps = "8/255" if name != "jsma" else 8  # which counts values
        attack = attacks.create(name, {"eps": eps})
        assert attack.eps == float(Fraction(eps))
        assert type(attack)(eps=attack.eps) == attack
        assert eval(repr(attack), vars(foolbench.attacks)) == attack, "the repr is the identity"


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({}, "eps"),
        ({"eps": "1/0"}, "number or a fraction"),
        ({"eps": 0}, "Expected eps > 0"),
        ({"eps": 0.1, "norm": "l7"}, "norm"),
        ({"eps": 0.1, "steps": "x"}, "steps"),
        ({"eps": 0.1, "steps": -1}, "Expected steps >= 0"),
        ({"eps": 0.1, "step_size": 0}, "Expected a finite step_size > 0"),
        ({"eps": 0.1, "restarts": 0}, "restarts >= 1"),
        ({"eps": 0.1, "restarts": 3, "random_start": False}, "random_start"),
    ],
)
def test_bad_pgd(parameters, complaint):
    with pytest.raises(ConfigError, match=complaint):
        attacks.create("pgd", parameters)


@pytest.mark.parametrize("name", ["random-sign", "gd-uap"])
def test_an_attack_refuses_a_norm_it_does_not_work_in(name):
    with pytest.raises(ConfigError, match=r"works in linf, got norm='l2'"):
        attacks.create(name, {"eps": 0.1, "norm": "l2"})


def test_a_cell_of_a_notebook_may_be_run_again():
    def typed(module):
        return type("Typed", (), {"__module__": module, "__qualname__": "Typed"})

    registry = Registry("toy")
    registry.register("toy")(typed("__main__"))
    again = registry.register("toy")(typed("__main__"))
    assert registry["toy"] is again
    with pytest.raises(ConfigError, match="belongs to"):
        registry.register("toy")(typed("elsewhere"))


def test_what_is_held_comes_first_and_is_gone_afterwards():
    registry = Registry("toy")
    registry.register("toy")(int)
    with registry.holding({"toy": lambda **options: "held", "other": lambda: "held, too"}):
        assert (registry.bind("toy", {"any": 1})(), registry.bind("other", {})()) == ("held", "held, too")
    assert registry["toy"] is int
    with pytest.raises(UnknownNameError):
        registry["other"]
