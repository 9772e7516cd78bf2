"""The layout is what it promises: layers, packages, docstrings, relative imports."""

import ast
import functools
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
ENGINE_ROOMS = (
    "memory",
    "cache",
    "provenance",
    "work",
    "crafting",
    "scoring",
    "networks",
    "executors",
    "forecast",
)
"""Of `evaluation/engine/`, likewise; the files that stand beside these rooms may import all of them."""
MOST_LINES = 300
"""Of a module: a longer one holds two concepts."""
MODULES = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


@pytest.fixture(scope="module", autouse=True)
def forget_what_was_parsed():
    """Or every later search for rubbish in this process goes through a million nodes."""
    yield
    parsed.cache_clear()


def imported(path):
    """(absolute or relative, dotted path below the package) of everything a module imports."""
    package = list(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (("absolute", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield "absolute", node.module
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            yield from (("relative", ".".join([*base, alias.name])) for alias in node.names)


def folders_imported(path, kind):
    return {target.split(".")[0] for found, target in imported(path) if found == kind}


def test_layers():
    reached = {path: folders_imported(path, "relative") - {path.relative_to(ROOT).parts[0]} for path in MODULES}
    above = {path: found - MAY_IMPORT[path.relative_to(ROOT).parts[0]] for path, found in reached.items()}
    assert {name_of(path): found for path, found in above.items() if found} == {}


def test_imports_inside_the_package_are_relative():
    own = {"foolbench", *MAY_IMPORT}
    absolute = {name_of(path): folders_imported(path, "absolute") & own for path in MODULES}
    assert {name: found for name, found in absolute.items() if found} == {}


@pytest.mark.parametrize(("house", "rooms"), [("evaluation", ROOMS), ("evaluation/engine", ENGINE_ROOMS)])
def test_every_room_has_its_place(house, rooms):
    assert set(rooms) == {path.parent.name for path in (ROOT / house).glob("*/__init__.py")}


@pytest.mark.parametrize(("house", "rooms"), [("evaluation", ROOMS), ("evaluation/engine", ENGINE_ROOMS)])
def test_no_room_imports_one_that_comes_after_it(house, rooms):
    prefix, after = house.replace("/", ".") + ".", {}
    for path in sorted((ROOT / house).glob("*/**/*.py")):
        own = path.relative_to(ROOT / house).parts[0]
        inside = {target.removeprefix(prefix) for _, target in imported(path) if target.startswith(prefix)}
        after[name_of(path)] = {target.split(".")[0] for target in inside} - {*rooms[: rooms.index(own) + 1]}
    assert {name: found for name, found in after.items() if found} == {}


def test_the_walk_sees_every_kind_of_import():
    def reached(name):
        return {target for _, target in imported(ROOT / name)}

    assert "core.errors.ConfigError" in reached("attacks/pgd.py")
    assert "attacks._gradient.loss_and_gradient" in reached("attacks/fgsm.py")
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


def test_modules_and_public_classes_have_docstrings():
    lacking = []
    for path in MODULES:
        tree = parsed(path)
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        nodes = {name_of(path): tree} | {f"{name_of(path)}:{node.name}": node for node in classes}
        lacking += [name for name, node in nodes.items() if not ast.get_docstring(node)]
    assert lacking == []


def test_modules_are_short():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_whatever_is_registered_has_a_docstring():
    registered = [(kind, name) for kind in REGISTRIES for name in REGISTRIES[kind]]
    assert len(registered) > 50
    assert [each for each in registered if not (REGISTRIES[each[0]][each[1]].__doc__ or "").strip()] == []


def test_package_data_exist():
    for package, patterns in PYPROJECT["package-data"].items():
        folder = "api" if package == "foolbench" else package.removeprefix("foolbench.").replace(".", "/")
        for pattern in patterns:
            assert list((ROOT / folder).glob(pattern)), (package, pattern)


def test_importing_a_folder_by_its_bare_name_fails():
    done = subprocess.run([sys.executable, "-c", "import attacks"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "ImportError" in done.stderr
