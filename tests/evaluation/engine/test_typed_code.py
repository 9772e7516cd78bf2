"""What was typed into a notebook is another attack when its code is edited, and the same when its cell is run again."""

import sys
from types import ModuleType

import pytest
from foolbench.evaluation.engine.sources import source_hash

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
