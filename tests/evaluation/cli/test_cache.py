"""The command line's view of what runs share."""

import pytest
from foolbench.evaluation.cli.console import console
from foolbench.evaluation.engine.cache.kinds import KINDS, Kind

QUICK = ("--set", "attacks=[{name='fgsm'}, {name='gd-uap', prior='none', max_iterations=3}]", "--device", "cpu")


@pytest.fixture
def filled(foolbench, recipe_file, tmp_path):
    """A cache of one run."""
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "out")[0] == 0
    return tmp_path / "cache"


def test_listed_measured_and_cleared(foolbench, filled, monkeypatch):
    monkeypatch.setattr(console, "width", 200)
    code, out, _ = foolbench("cache", "list")
    assert code == 0
    assert "digits-convnet-fgsm-" in out
    assert "digits-convnet-gd-uap-" in out
    assert "gd-uap" not in foolbench("cache", "list", "adversarial")[1]
    sizes = foolbench("cache", "size")[1]
    assert "0 bytes  learned" in sizes
    assert str(filled) in sizes.replace("\n", "")
    assert foolbench("cache", "clear", "perturbations")[0] == 0
    assert "gd-uap" not in foolbench("cache", "list")[1]
    assert foolbench("cache", "clear")[0] == 0
    assert "Nothing is there." in foolbench("cache", "list")[1]


@pytest.mark.parametrize("kind", Kind)
def test_whatever_kind_is_shown_can_be_listed_and_cleared_alone(foolbench, tmp_path, kind):
    entry = tmp_path / "cache" / kind / "something.safetensors"
    entry.parent.mkdir(parents=True)
    entry.write_bytes(b"kept")
    assert kind in foolbench("cache", "size")[1]
    assert "something" in foolbench("cache", "list", kind)[1]
    code, out, _ = foolbench("cache", "clear", kind)
    assert (code, "Removed 4 bytes" in out, entry.exists()) == (0, True, False)
    assert set(KINDS) == set(Kind)


def test_another_folder_or_none(foolbench, recipe_file, tmp_path):
    other = tmp_path / "other"
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "a", "--cache", other)[0] == 0
    assert {path.name for path in other.iterdir()} >= {"adversarial", "perturbations"}
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "b", "--no-cache")[0] == 0
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "b" / "adversarial").exists()


def test_clearing_removes_what_is_its_own_and_nothing_else(foolbench, filled, tmp_path):
    (filled / "learned").mkdir(exist_ok=True)
    (filled / "learned" / "thesis.txt").write_text("precious")
    (filled / "perturbations" / "a-folder.safetensors").mkdir()
    code, out, _ = foolbench("cache", "clear")
    assert code == 0
    assert "Removed 0 bytes" not in out
    assert (filled / "learned" / "thesis.txt").read_text() == "precious"
    assert not [path for path in filled.rglob("*.safetensors") if path.is_file()]
    code, _, err = foolbench("cache", "clear", "--cache", tmp_path / "out")
    assert code == 2
    assert "got that of a run" in " ".join(err.split())


@pytest.mark.parametrize("size", ["large", "-1", "inf", "nan"])
def test_a_size_that_is_none_is_one_sentence(foolbench, recipe_file, tmp_path, monkeypatch, size):
    monkeypatch.setenv("FOOLBENCH_CACHE_SIZE", size)
    for where in ((), ("--cache", tmp_path / "other")):
        code, _, err = foolbench("run", recipe_file, "--out", tmp_path / "out", *where)
        assert code == 2
        assert f"Expected FOOLBENCH_CACHE_SIZE in GB, 0 or more, as 20, got {size}." in " ".join(err.split())
    assert foolbench("cache", "size")[0] == 0  # which needs none


def test_a_size_of_the_command_line(foolbench, recipe_file, tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLBENCH_CACHE_SIZE", "large")  # not asked for
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "out", "--cache-size", "0")[0] == 0
    assert "Nothing is there." in foolbench("cache", "list")[1]
    code, _, err = foolbench("run", recipe_file, "--out", tmp_path / "out", "--cache-size", "inf")
    assert code == 2
    assert "Expected --cache-size in GB" in " ".join(err.split())


def test_a_cache_and_none_at_once(foolbench, recipe_file, tmp_path):
    code, _, err = foolbench("run", recipe_file, "--no-cache", "--cache", tmp_path / "other")
    assert code == 2
    assert "--no-cache alone" in " ".join(err.split())
