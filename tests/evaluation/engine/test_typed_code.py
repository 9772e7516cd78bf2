"""What was typed into a notebook is another attack when its code is edited, and the same when its cell is run again."""

import sys
from types import ModuleType

import pytest
from foolbench.evaluation.engine.sources import source_hash

CELL = """
def helper(x):
    return [value + 1 for value in x]

def unrelated():
    return 3

class Base:
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


@pytest.mark.parametrize(("old", "new"), [("+ 1", "+ 2"), ("return 2", "return 4"), ("self.factor *", "self.factor +")])
def test_edited_code_is_other_code(typed, old, new):
    assert typed(CELL) != typed(CELL.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"), [("", ""), ("return 3", "return 5"), ("class Typed", "\n\n# moved\nclass Typed")]
)
def test_the_same_code_stays_the_same(typed, old, new):
    assert typed(CELL) == typed(CELL.replace(old, new, 1))
