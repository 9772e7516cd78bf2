"""The command line's view of what runs share."""

import pytest

QUICK = ("--set", "attacks=[{name='fgsm'}, {name='gd-uap', prior='none', max_iterations=3}]", "--device", "cpu")


@pytest.fixture
def filled(foolbench, recipe_file, tmp_path):
    """A cache of one run."""
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "out")[0] == 0
    return tmp_path / "cache"


def test_listed_measured_and_cleared(foolbench, filled):
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


def test_another_folder_or_none(foolbench, recipe_file, tmp_path):
    other = tmp_path / "other"
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "a", "--cache", other)[0] == 0
    assert {path.name for path in other.iterdir()} >= {"adversarial", "perturbations"}
    assert foolbench("run", recipe_file, *QUICK, "--out", tmp_path / "b", "--no-cache")[0] == 0
    assert not (tmp_path / "cache").exists()
    assert (tmp_path / "b" / "adversarial").exists()


def test_a_size_that_is_none_is_one_sentence(foolbench, recipe_file, tmp_path, monkeypatch):
    monkeypatch.setenv("FOOLBENCH_CACHE_SIZE", "large")
    code, _, err = foolbench("run", recipe_file, "--out", tmp_path / "out")
    assert code == 2
    assert "Expected FOOLBENCH_CACHE_SIZE in GB, as 20, got 'large'" in " ".join(err.split())
