"""What was typed into a notebook is another attack when its code is edited, and the same when its cell is run again."""

import re
import sys
from types import ModuleType

import pytest
from foolbench.evaluation.grid.sources import source_hash, typed_code_at_rest

CELL = """
SCALE = {"one": [0.1, None]}
UNUSED = 7

def helper(x, offset=4):
    return [value + 1 + SCALE["one"][0] for value in x]

def unrelated():
    return 3

class Base:
    steps = 30

    @property
    def factor(self):
        return 2

class Typed(Base):
    def perturb(self, x):
        return self.factor * helper(x)
"""

WRAPPED = """
import enum
import functools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

DELTA, LEVELS, STEP, KNOWN = torch.tensor([1, 0]), np.array([2, 0]), np.int64(3), {"b": {0, 8}, "a": None}

class Mode(enum.Enum):
    FAST = 4

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((5,), 0.0))

NET, MODE, PART = Net(), Mode.FAST, functools.partial(max, 6)

def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def call(*arguments):
            return factor * function(*arguments)
        return call
    return decorate

@functools.lru_cache
def remembered(x):
    return x + 7

one, other = (lambda x: x + 18), (lambda x: x + 9)

@dataclass(frozen=True, kw_only=True)
class Typed:
    steps: int = 10
    found: list = field(default_factory=lambda: [11])

    @torch.no_grad()
    def perturb(self, x):
        return 12 * x + DELTA + LEVELS + STEP + one(x) + other(x) + remembered(x) if x in KNOWN else NET

    @scaled(13)
    def helped(self, x):
        return 14 * x, MODE, PART

    @staticmethod
    @torch.no_grad()
    def static(x):
        return 15 in {0, 8, 16}

    @functools.cached_property
    def kept(self):
        return 17
"""


@pytest.fixture
def typed(monkeypatch):
    def typed(code):
        module = ModuleType("a_shell")
        monkeypatch.setitem(sys.modules, "a_shell", module)
        exec(compile(code, "<cell>", "exec"), vars(module))
        return source_hash(module.Typed)

    return typed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *(("+ 1", "+ 2"), ("return 2", "return 4"), ("self.factor *", "self.factor +")),
        *(("0.1", "0.5"), ("offset=4", "offset=5"), ("steps = 30", "steps = 31")),
    ],
)
def test_edited_code_is_other_code(typed, old, new):
    assert typed(CELL) != typed(CELL.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("UNUSED = 7", "UNUSED = 8"), ("", ""), ("return 3", "return 5"), ("class Typed", "\n\n# moved\nclass Typed")],
)
def test_the_same_code_stays_the_same(typed, old, new):
    assert typed(CELL) == typed(CELL.replace(old, new, 1))


def test_a_helper_that_is_typed_again_counts_for_a_class_that_is_not(typed):
    typed(CELL)
    module = sys.modules["a_shell"]
    before = source_hash(module.Typed)
    exec("def helper(x):\n    return x", vars(module))
    assert source_hash(module.Typed) != before


@pytest.mark.parametrize("number", range(1, 19))
def test_what_stands_behind_decorators_in_closures_lambdas_and_values_counts(typed, number):
    edited = re.sub(rf"\b{number}\b", f"{number}0", WRAPPED)
    assert edited != WRAPPED
    assert typed(WRAPPED) != typed(edited)


def test_the_order_of_a_set_is_by_chance(typed):
    """As 0 and 8 lie in one place of a small table, the one put in first comes first."""
    assert typed(WRAPPED.replace("{0, 8}", "{8, 0}")) == typed(WRAPPED)


def test_of_what_cannot_be_taken_apart_nothing_is_known_to_be_the_same(typed):
    code = CELL.replace("UNUSED = 7", "UNUSED = open(__import__('os').devnull)")
    assert typed(code) == typed(code)
    assert typed(code.replace("value + 1", "value + 1 + UNUSED")) != typed(
        code.replace("value + 1", "value + 1 + UNUSED")
    )


def test_a_run_does_not_change_the_name_of_what_it_runs(typed):
    with typed_code_at_rest():
        before = typed(CELL)
        sys.modules["a_shell"].SCALE["one"][0] = 0.7
        assert source_hash(sys.modules["a_shell"].Typed) == before
    assert source_hash(sys.modules["a_shell"].Typed) != before
