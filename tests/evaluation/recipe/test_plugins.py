"""A file of the user's own adds names, and is blamed by name where it cannot be imported."""

import csv
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from foolbench import defenses
from foolbench.core import ConfigError
from foolbench.defenses import jpeg
from foolbench.evaluation.recipe import plugins
from foolbench.evaluation.recipe.plugins import REGISTRIES, load_file, load_plugins

PLUGIN = '''
"""A defense that nobody else has."""
from dataclasses import dataclass
from foolbench.core import InputTransform, register_defense

@register_defense("my-mirror")
@dataclass(frozen=True, kw_only=True)
class Mirror(InputTransform):
    """Mirrors the image."""
    times: int = 1
    differentiable = True
    randomized = False
    def transform(self, x, *, rng):
        return x.flip(3) if self.times % 2 else x
'''


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "mirror.py"
    path.write_text(PLUGIN)
    return path


MINE = ("--set", "attacks=[{name='fgsm'}]", "--set", "defenses=[{name='my-mirror'}, {name='my-mirror', times=2}]")


def test_a_defense_of_the_users_own_gets_its_rows(foolbench, recipe_file, plugin, tmp_path):
    out = tmp_path / "out"
    code, _, err = foolbench("run", recipe_file, "--plugin", plugin, "--out", out, "--device", "cpu", *MINE)
    assert (code, err) == (0, "")
    with (out / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["defense"] for row in rows] == ["none", "my-mirror", "my-mirror"]
    assert [row["defense_params"] for row in rows] == ["{}", '{"times":1}', '{"times":2}']
    none, once, twice = (float(row["clean"]) for row in rows)
    assert none == twice != once


def test_a_file_is_read_as_it_is_now(tmp_path):
    """Python's own cache would serve the older text: size and second of the two are the same."""
    path = tmp_path / "plugin.py"
    for value in (1, 2):
        path.write_text(f"VALUE = {value}")
        os.utime(path, (1e9, 1e9))
        module = load_file(path)
        del sys.modules[module.__name__]
        assert value == module.VALUE


def test_what_is_no_python_file(tmp_path):
    path = tmp_path / "plugin.txt"
    path.write_text("VALUE = 1")
    with pytest.raises(ConfigError, match=r"Expected a Python file, \*\.py, got .*plugin\.txt"):
        load_file(path)


def test_list_knows_it_too(foolbench, plugin):
    code, out, _ = foolbench("list", "defenses", "--json", "--plugin", plugin)
    assert code == 0
    assert '"my-mirror": "Mirrors the image."' in out


def test_its_run_can_be_reported(foolbench, recipe_file, plugin, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as run:
        defenses = REGISTRIES["defenses"]
        run.setattr(defenses, "_classes", dict(defenses._classes))
        foolbench("run", recipe_file, "--plugin", plugin, "--out", out, "--device", "cpu", *MINE)
    (name,) = [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(plugin)]
    monkeypatch.delitem(sys.modules, name)  # as in another process
    code, _, err = foolbench("report", out, "--plugin", plugin)
    assert (code, err) == (0, "")


def test_without_the_file_the_name_is_unknown(foolbench, recipe_file):
    code, _, err = foolbench("plan", recipe_file, *MINE)
    assert code == 2
    assert "Unknown defense 'my-mirror'" in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module_anywhere", "no_such_module_anywhere"),
        ("1 / 0", "division by zero"),
        ("def broken(:", "invalid syntax"),
        (PLUGIN.replace("my-mirror", "median"), "'median'"),
        (PLUGIN.replace("times: int = 1", "times: list = []"), "mutable default"),
    ],
)
def test_a_broken_file_is_blamed(tmp_path, text, says):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_plugins([path])
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.py", "folder.py", "plugin.txt"])
def test_what_is_no_python_file_is_refused(tmp_path, name):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "plugin.txt").write_text("x = 1")
    with pytest.raises(ConfigError, match=name):
        load_plugins([tmp_path / name])


def test_an_installed_package_is_found_by_its_entry_point(monkeypatch, plugin):
    monkeypatch.syspath_prepend(plugin.parent)
    point = EntryPoint(name="mine", value="mirror", group="foolbench.plugins")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point] if group == point.group else [])
    load_plugins([])
    assert "my-mirror" in REGISTRIES["defenses"]


def test_an_entry_point_that_cannot_be_imported_is_blamed(monkeypatch):
    point = EntryPoint(name="mine", value="no_such_module_anywhere", group="foolbench.plugins")
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    with pytest.raises(ConfigError, match="'mine'"):
        load_plugins([])


@pytest.fixture
def defenses_folder(tmp_path, monkeypatch):
    """A folder whose modules are in the package `foolbench.defenses`."""
    folder = tmp_path / "defenses"
    folder.mkdir()
    monkeypatch.setattr(defenses, "__path__", [*defenses.__path__, str(folder)])
    yield folder
    for name in [name for name in sys.modules if name.startswith("foolbench.defenses.my_")]:
        del sys.modules[name]


def test_a_file_put_into_the_folder_of_defenses_is_found(defenses_folder, foolbench):
    (defenses_folder / "my_mirror.py").write_text(PLUGIN)
    (defenses_folder / "_my_helper.py").write_text("1 / 0")
    code, out, err = foolbench("list", "defenses", "--json")
    assert (code, err) == (0, "")
    assert '"my-mirror": "Mirrors the image."' in out


def test_a_broken_file_in_the_folder_is_blamed(defenses_folder):
    (defenses_folder / "my_fault.py").write_text("1 / 0")
    with pytest.raises(ConfigError, match=r"my_fault cannot be imported.*division by zero"):
        load_plugins([])


def test_a_file_that_is_imported_already_is_not_imported_twice(plugin):
    assert load_file(plugin) is load_file(plugin.parent / "." / plugin.name)
    assert load_file(Path(jpeg.__file__)) is jpeg


def test_the_builtin_names_are_there():
    assert all(list(registry) for registry in REGISTRIES.values())
