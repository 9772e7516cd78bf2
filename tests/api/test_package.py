"""`foolbench` itself: what it offers, what it costs to import, how it is started."""

import subprocess
import sys
from importlib.metadata import version

import foolbench
import pytest
from foolbench.core import Model
from foolbench.defenses import adaptive
from foolbench.tasks import Recognition

LIGHT = "import sys; import foolbench.evaluation.cli.main; print(*sys.modules)"
HEAVY = {"torch", "torchvision", "numpy", "pandas", "scipy", "cv2", "sklearn", "skimage", "pydantic"}


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_version():
    assert foolbench.__version__ == version("foolbench")


def test_whatever_is_offered_is_there_and_nothing_else():
    assert {name: hasattr(foolbench, name) for name in foolbench.__all__} == dict.fromkeys(foolbench.__all__, True)
    assert set(foolbench.__all__) <= set(dir(foolbench))
    assert not hasattr(foolbench, "nonsense")


def test_names_are_those_of_the_folders():
    assert (foolbench.Model, foolbench.Recognition, foolbench.adaptive) == (Model, Recognition, adaptive)
    assert foolbench.attacks.__name__ == "foolbench.attacks"


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert files("foolbench").joinpath("py.typed").is_file()


def test_as_a_module_it_is_the_command_line():
    done = python("-m", "foolbench", "--version")
    assert (done.returncode, done.stdout.strip()) == (0, version("foolbench"))


@pytest.mark.parametrize("code", ["import sys; import foolbench; print(*sys.modules)", LIGHT])
def test_nothing_heavy_is_imported_before_it_is_needed(code):
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stdout.split())


def test_lists_need_neither_tables_nor_statistics_nor_foolbox():
    code = """
import sys
from foolbench.evaluation.cli.main import main
for kind in ("recipes", "datasets", "attacks"):
    sys.argv = ["foolbench", "list", kind, "--json"]
    try:
        main()
    except SystemExit as end:
        assert not end.code
print(*sys.modules, file=sys.stderr)
"""
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    assert '"pgd"' in done.stdout
    assert not {"foolbox", "pandas", "scipy.stats", "sklearn", "torchvision"} & set(done.stderr.split())
