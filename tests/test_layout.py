"""The layout is what it promises: layers, packages, docstrings, relative imports."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from foolbench.evaluation.recipe.plugins import REGISTRIES

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "core": set(),
    "tasks": {"core"},
    "models": {"core", "tasks"},
    "datasets": {"core", "tasks"},
    "attacks": {"core", "tasks"},
    "defenses": {"core", "tasks", "attacks"},
    "evaluation": {"core", "tasks", "models", "datasets", "attacks", "defenses"},
    "api": set(),  # what it offers it imports by name, when it is asked for
}
ROOMS = (
    "ledger",
    "recipe",
    "grid",
    "conformance",
    "opening",
    "leaderboard",
    "engine",
    "report",
    "board",
    "python",
    "pytest_plugin",
    "certificate",
    "demo",
    "cli",
)
"""Of `evaluation/`: each may import those before it."""
MOST_LINES = 300
"""Of a module: a longer one holds two concepts."""
MODULES = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def imported(path):
    """(absolute or relative, dotted path below the package) of everything a module imports."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (("absolute", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield "absolute", node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield from (("relative", ".".join([*base, alias.name])) for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_layers(path):
    own = path.relative_to(ROOT).parts[0]
    reached = {target.split(".")[0] for kind, target in imported(path) if kind == "relative"}
    assert reached <= MAY_IMPORT[own] | {own}


def test_every_room_has_its_place():
    assert set(ROOMS) == {path.parent.name for path in (ROOT / "evaluation").glob("*/__init__.py")}


@pytest.mark.parametrize("path", sorted((ROOT / "evaluation").glob("*/**/*.py")), ids=name_of)
def test_no_room_imports_one_that_comes_after_it(path):
    own = path.relative_to(ROOT / "evaluation").parts[0]
    reached = {target.split(".")[1] for _, target in imported(path) if target.startswith("evaluation.")}
    assert reached <= {*ROOMS[: ROOMS.index(own) + 1]}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_inside_the_package_are_relative(path):
    absolute = {target.split(".")[0] for kind, target in imported(path) if kind == "absolute"}
    assert not absolute & {"foolbench", *MAY_IMPORT}


def test_the_walk_sees_every_kind_of_import():
    def reached(name):
        return {target for _, target in imported(ROOT / name)}

    assert "core.errors.ConfigError" in reached("attacks/pgd.py")
    assert "attacks._gradient.loss_and_gradient" in reached("attacks/pgd.py")
    assert "attacks" in reached("evaluation/recipe/plugins.py")
    assert "core.threat.Threat" in reached("core/__init__.py")


def test_the_packages_of_pyproject_are_the_folders_on_disk():
    holders = {path.parent for path in MODULES if path.parent.name != "api"} | {ROOT / "leaderboards"}
    on_disk = {"foolbench." + ".".join(folder.relative_to(ROOT).parts) for folder in holders}
    assert set(PYPROJECT["packages"]) == {"foolbench"} | on_disk
    assert PYPROJECT["packages"] == sorted(PYPROJECT["packages"])
    mapped = {f"foolbench.{name}": name for name in [*MAY_IMPORT, "leaderboards"] if name != "api"}
    assert PYPROJECT["package-dir"] == {"foolbench": "api"} | mapped


def test_no_folder_with_code_is_forgotten():
    ignored = {"tests", "docs", "build", "dist", "runs", "site", "shared"}
    folders = {path.parent.name for path in ROOT.glob("*/*.py") if not path.parent.name.startswith(".")}
    assert folders - ignored == set(MAY_IMPORT)


def test_every_folder_of_modules_has_a_table_of_contents():
    assert all((path.parent / "__init__.py").exists() for path in MODULES)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_public_classes_have_docstrings(path):
    tree = ast.parse(path.read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    assert all(ast.get_docstring(node) for node in (tree, *classes))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in REGISTRIES for name in REGISTRIES[kind]])
def test_whatever_is_registered_has_a_docstring(kind, name):
    assert (REGISTRIES[kind][name].__doc__ or "").strip()


@pytest.mark.parametrize("pattern", [pattern for found in PYPROJECT["package-data"].values() for pattern in found])
def test_package_data_exist(pattern):
    packages = [name for name, found in PYPROJECT["package-data"].items() if pattern in found]
    for package in packages:
        folder = "api" if package == "foolbench" else package.removeprefix("foolbench.").replace(".", "/")
        assert list((ROOT / folder).glob(pattern)), package


def test_importing_a_folder_by_its_bare_name_fails():
    done = subprocess.run([sys.executable, "-c", "import attacks"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "ImportError" in done.stderr
