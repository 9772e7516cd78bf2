"""Beside the recipe: what one wants to say in Python."""

from foolbench.attacks import PGD
from foolbench.defenses import BitDepth
from model import digits


def test_it_is_fooled_less_by_a_smaller_budget(foolbench):
    model = digits()
    small, large = (foolbench.evaluate(model, "digits", attack=PGD(eps=eps), samples=64) for eps in (0.02, 0.2))
    assert small.gfr.high < large.gfr.low


def test_the_defense_costs_little(foolbench):
    result = foolbench.evaluate(
        digits(), "digits", attack=PGD(eps=0.05), defense=BitDepth(bits=4), samples=64, knowledge="adaptive"
    )
    assert result.clean_drop <= 5
    assert not result.flagged
