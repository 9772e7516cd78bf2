"""What was crafted is known by all that decides it."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from foolbench.core import Attack, Ensemble, register_attack
from foolbench.evaluation.engine.executors.naming import environment
from foolbench.evaluation.engine.memory import pieces
from foolbench.evaluation.engine.provenance import versions

CPU = torch.device("cpu")


@pytest.mark.parametrize("library", ["foolbox", "numpy", "opencv-python", "pillow", "scikit-image", "scipy"])
def test_another_version_of_a_library_that_computes_is_another_environment(monkeypatch, library):
    before, version = environment(CPU), versions._version
    assert environment(CPU) == before
    monkeypatch.setattr(versions, "_version", lambda name, path: "0.0" if name == library else version(name, path))
    assert environment(CPU) != before


@pytest.fixture
def together():
    """How many images at a time the members of the attack `pair` get. Draws of its first one belong to the batch."""
    sizes = {"first": [], "second": []}

    @dataclass(frozen=True, kw_only=True)
    class Member(Attack):
        access = "none"
        name: str

        def perturb(self, model, x, y, *, rng):
            sizes[self.name].append(len(x))
            if len(x) > most[0]:
                raise MemoryError
            return x

    @dataclass(frozen=True, kw_only=True)
    class First(Member):
        batch_matters: ClassVar[bool] = True

    @register_attack("pair")
    @dataclass(frozen=True, kw_only=True)
    class Pair(Ensemble):
        access = "none"

        @property
        def members(self):
            facts = {"eps": self.eps, "norm": self.norm}
            return {"first": First(name="first", **facts), "second": Member(name="second", **facts)}

    most = [99]
    return sizes, most


PAIR = ("attacks=[{name='pair'}]", "defenses=[]", "samples=8", "batch_size='auto'")


def test_pieces_name_also_what_goes_on_where_they_matter(execute, monkeypatch, together):
    sizes, _ = together
    for number, size in enumerate((8, 4, 8)):
        monkeypatch.setattr(pieces, "ON_PROCESSOR", size)
        execute(f"run-{number}", *PAIR, crafted_anew=False)
    assert sizes == {"first": [8, 4, 4], "second": [8, 4, 4]}


def test_what_was_made_in_pieces_for_lack_of_memory_is_not_found_where_there_is_more(execute, together):
    sizes, most = together
    for number, size in enumerate((4, 8)):
        most[0] = size
        table = execute(f"run-{number}", *PAIR, crafted_anew=False)
        assert set(table.status) == {"ok"}
    once, anew_for_the_second = [8, 4, 4], [4, 4]
    assert sizes == {"first": [*once, *anew_for_the_second, 8], "second": [4, 4, 8]}
