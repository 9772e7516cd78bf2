"""Folders with recipes that run in a second, and pytest runs in them, in this process."""

import pytest

TINY = """
name = "tiny"
dataset = "digits"
samples = 16
models = ["digits:convnet"]
[threat]
eps = "40/255"
[[attacks]]
name = "uniform-noise"
[[attacks]]
name = "pgd"
steps = 2
[[defenses]]
name = "bit-depth"
"""
BROKEN = """
from dataclasses import dataclass
from foolbench.core import Attack, register_attack

@register_attack("toy-broken")
@dataclass(frozen=True, kw_only=True)
class Broken(Attack):
    access = "none"

    def perturb(self, model, x, y, *, rng):
        raise RuntimeError("no luck today")
"""


@pytest.fixture
def tiny():
    return TINY


@pytest.fixture
def broken():
    """A conftest.py that registers an attack which raises."""
    return BROKEN


@pytest.fixture
def recipe(pytester):
    """`recipe(more)` writes the recipe and what it has besides to tiny.toml."""

    def write(more="", text=TINY):
        path = pytester.path / "tiny.toml"
        path.write_text(text + more)
        return path

    return write


@pytest.fixture
def run(pytester, monkeypatch):
    """`run(*arguments)` runs pytest in that folder, in this process, be it one of several of xdist's."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # which pytest-benchmark would take for the run's own

    def run(*arguments):
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *map(str, arguments))

    return run
