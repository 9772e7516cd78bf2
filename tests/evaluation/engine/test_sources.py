"""The hash of a class covers its own file and those of foolbench that it uses."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest
from foolbench.attacks import FGSM, GDUAP, PGD
from foolbench.evaluation.engine import sources
from foolbench.evaluation.engine.sources import net_hash, source_hash
from torch import nn


@pytest.fixture
def read(monkeypatch):
    """The names of the files that a hash is made of."""

    def read(cls):
        names, original = [], Path.read_bytes
        with monkeypatch.context() as spied:
            spied.setattr(Path, "read_bytes", lambda path: names.append(path.name) or original(path))
            source_hash.__wrapped__(cls)
        return names

    return read


def test_what_an_attack_uses_is_part_of_it(read):
    assert {"fgsm.py", "_gradient.py", "_losses.py", "ball.py", "norms.py", "model.py"} <= set(read(FGSM))
    assert {"gd_uap.py", "priors.py", "_validation.py"} <= set(read(GDUAP))


def test_what_it_does_not_use_is_not(read):
    assert not {"pgd.py", "gd_uap.py", "jpeg.py", "cli.py"} & set(read(FGSM))
    assert source_hash(FGSM) != source_hash(PGD)


def test_a_class_without_a_file_has_a_hash(monkeypatch):
    namespace = {"__name__": "typed_in"}
    module = type(sys)("typed_in")
    exec("class Typed: pass", namespace)
    monkeypatch.setitem(sys.modules, "typed_in", module)
    assert source_hash(namespace["Typed"])


def test_an_edited_helper_is_another_attack(tmp_path, monkeypatch):
    """A copy of a helper of foolbench, edited, under its name."""
    hashes = []
    for comment in ("# one\n", "# two\n"):
        helper = tmp_path / "helper.py"
        helper.write_text(comment + "def helper(): pass\n")
        spec = importlib.util.spec_from_file_location("foolbench.helper", helper)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "foolbench.helper", module)
        monkeypatch.setattr(sys.modules[FGSM.__module__], "helper", module.helper, raising=False)
        hashes.append(sources.source_hash.__wrapped__(FGSM))
    assert hashes[0] != hashes[1]


def test_the_code_of_a_network_counts(tmp_path, monkeypatch):
    source = "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return {}\n"
    found = []
    for name, returned in (("net_a", "x"), ("net_b", "-x")):
        (tmp_path / f"{name}.py").write_text(source.format(returned))
        monkeypatch.syspath_prepend(tmp_path)
        found.append(net_hash(importlib.import_module(name).Net()))
    assert len(set(found)) == 2
    assert net_hash(nn.Linear(1, 1)) == net_hash(nn.ReLU())  # torch's own is known by its version
