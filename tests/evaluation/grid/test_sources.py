"""The hash of a class covers its own file and those of foolbench that it uses."""

import importlib
import importlib.util
import sys
from pathlib import Path

import pytest
from foolbench.attacks import FGSM, GDUAP, PGD
from foolbench.core.python_objects import load_file
from foolbench.evaluation.grid import sources
from foolbench.evaluation.grid.sources import net_hash, source_hash
from torch import nn


@pytest.fixture
def read(monkeypatch):
    """The names of the files that a hash is made of."""

    def read(cls):
        names, original = [], Path.read_bytes
        with monkeypatch.context() as spied:
            spied.setattr(Path, "read_bytes", lambda path: names.append(path.name) or original(path))
            sources._hash.__wrapped__(cls, b"")
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
    for helped in (1, 2):
        helper = tmp_path / "helper.py"
        helper.write_text(f"def helper(): return {helped}\n")
        spec = importlib.util.spec_from_file_location("foolbench.helper", helper)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setitem(sys.modules, "foolbench.helper", module)
        monkeypatch.setattr(sys.modules[FGSM.__module__], "helper", module.helper, raising=False)
        hashes.append(sources._hash.__wrapped__(FGSM, b""))
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


@pytest.mark.parametrize(
    "line", ["from my_constants import K", "def f():\n    from my_constants import K", "import my_constants"]
)
def test_a_module_of_constants_counts_before_and_after_it_is_imported(tmp_path, monkeypatch, line):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_plugin.py").write_text(f"{line}\nclass Mine: pass\n")
    (tmp_path / "my_constants.py").write_text("K = 1\n")
    mine, hashes = load_file(tmp_path / "my_plugin.py").Mine, []
    for text in ("K = 1\n", "K = 2\n"):
        (tmp_path / "my_constants.py").write_text(text)
        hashes.append(sources._hash.__wrapped__(mine, b""))
        importlib.import_module("my_constants")
        assert sources._hash.__wrapped__(mine, b"") == hashes[-1]
        del sys.modules["my_constants"]
    assert hashes[0] != hashes[1]


def test_a_module_of_a_package_is_followed_by_its_relative_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").write_text("")
    (tmp_path / "my_package" / "plugin.py").write_text("from .constants import K\nclass Mine: pass\n")
    constants, hashes = tmp_path / "my_package" / "constants.py", []
    constants.write_text("K = 1\n")
    mine = importlib.import_module("my_package.plugin").Mine
    for text in ("K = 1\n", "K = 2\n"):
        constants.write_text(text)
        hashes.append(sources._hash.__wrapped__(mine, b""))
    assert hashes[0] != hashes[1]


def test_a_script_from_a_pipe_has_a_hash(monkeypatch):
    module = type(sys)("piped")
    module.__file__ = "<stdin>"
    monkeypatch.setitem(sys.modules, "piped", module)
    exec("class Typed: pass", vars(module))
    assert source_hash(module.Typed)
