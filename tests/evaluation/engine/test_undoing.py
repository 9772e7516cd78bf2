"""Whoever ends a run while a network is changed for the moment ends it, and the attack or the defense is not blamed."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from foolbench.core import Attack, ConfigError, InputTransform, OutputError, register_attack, register_defense
from foolbench.evaluation.engine.forecast.impatience import Enough
from foolbench.evaluation.engine.networks.undoing import undoing


def _refused():
    return ConfigError("It has changed the network.")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Enough(0.5), OutputError("The disk is full.")], ids=repr)
def test_what_ends_a_run_from_outside_remains(error):
    undone = []
    with pytest.raises(type(error)) as raised, undoing(lambda: undone.append(1) or True, _refused):
        raise error
    assert raised.value is error
    assert undone


@pytest.mark.parametrize("error", [RuntimeError(), SystemExit(1), ConfigError("no")], ids=repr)
def test_what_the_code_itself_raises_is_its_own_only_where_it_has_changed_nothing(error):
    with pytest.raises(ConfigError, match="has changed"), undoing(lambda: True, _refused):
        raise error
    with pytest.raises(type(error)) as raised, undoing(lambda: False, _refused):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("kind", ["attack", "defense"])
def test_an_interrupted_run_goes_on_as_one_that_was_not(execute, kind):
    """The hook is there until the network has answered."""
    interrupts = [KeyboardInterrupt]

    def hooked(model, x):
        handle = model.net.register_forward_hook(lambda module, inputs, output: None)
        if interrupts:
            raise interrupts.pop()
        handle.remove()
        return x

    @register_attack("hooking")
    @dataclass(frozen=True, kw_only=True)
    class HookingAttack(Attack):
        """Leaves an image as it is."""

        access = "score"

        def perturb(self, model, x, y, *, rng):
            return hooked(model, x)

    @register_defense("hooking")
    @dataclass(frozen=True, kw_only=True)
    class HookingDefense(InputTransform):
        """Leaves an image as it is."""

        differentiable: ClassVar[bool] = True
        randomized: ClassVar[bool] = False
        networks: ClassVar[list] = []

        def defend(self, model):
            self.networks.append(model)
            return super().defend(model)

        def transform(self, x, *, rng):
            return hooked(self.networks[0], x)

    settings = (
        ("attacks=[{name='hooking'}]", "defenses=[]")
        if kind == "attack"
        else ("attacks=[{name='fgsm'}]", "defenses=[{name='hooking'}]")
    )
    with pytest.raises(KeyboardInterrupt):
        execute("out", *settings)
    assert set(execute("out", *settings).status) == {"ok"}
