"""Comments and docstrings are no part of a method's identity; everything else is."""

import pytest
from foolbench.evaluation.grid.bare_code import bare_code

CODE = b"""
def climb(x, step=2):
    return x + step


class Attack:
    steps: int = 10

    def perturb(self, x):
        return [climb(x) for _ in range(self.steps)]
"""
WORDED = b'''"""A module."""
# A comment.

def climb(x, step=2):  # another
    """Climb one step."""
    return x + step


class Attack:
    """An attack."""

    steps: int = 10
    """How many steps."""

    def perturb(self, x):
        """Perturb."""
        return [
            climb(x)
            for _ in range(self.steps)
        ]
'''


def test_words_and_layout_change_nothing():
    assert bare_code(WORDED) == bare_code(CODE)


@pytest.mark.parametrize(("old", "new"), [(b"x + step", b"x - step"), (b"= 10", b"= 11"), (b"step=2", b"step=3")])
def test_code_changes_it(old, new):
    assert bare_code(CODE.replace(old, new)) != bare_code(CODE)


def test_a_string_that_is_a_value_counts():
    assert bare_code(b"loss = 'dlr'") != bare_code(b"loss = 'ce'")
    assert bare_code(b"def f():\n    return 'a'") != bare_code(b"def f():\n    return 'b'")


@pytest.mark.parametrize("content", [b"def (", b"\0", b"\xff\xfe", b"x = " + b"(" * 5_000], ids=range(4))
def test_what_is_no_python_counts_as_it_is(content):
    assert bare_code(content) == content
