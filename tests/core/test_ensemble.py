"""What an ensemble says of itself follows from its members."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
from foolbench.core import Attack, Ensemble
from foolbench.evaluation.grid.cells import Job


@dataclass(frozen=True, kw_only=True)
class Still(Attack):
    access = "none"

    def perturb(self, model, x, y, *, rng):
        return x


@dataclass(frozen=True, kw_only=True)
class OfABatch(Still):
    randomized: ClassVar[bool] = True
    batch_matters: ClassVar[bool] = True


def around(*members):
    """An ensemble of them, in an ensemble."""

    @dataclass(frozen=True, kw_only=True)
    class Inner(Ensemble):
        access = "none"

        @property
        def members(self):
            return {str(place): member(eps=self.eps) for place, member in enumerate(members)}

    @dataclass(frozen=True, kw_only=True)
    class Outer(Ensemble):
        access = "none"

        @property
        def members(self):
            return {"inner": Inner(eps=self.eps)}

    return Outer(eps=0.1)


@pytest.mark.parametrize(("members", "says"), [((Still, Still), False), ((Still, OfABatch), True)])
def test_chance_and_the_batch_are_seen_at_any_depth(members, says):
    attack = around(*members)
    assert attack.randomized == says
    assert attack.batch_matters == says
    assert Job(source="net", attack_name="outer", attack=attack).batch_matters == says
