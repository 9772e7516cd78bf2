"""The hooks of the pytest plugin, which cost nothing until a recipe is named.

pytest loads this file wherever foolbench is installed, so the implementation is in the files beside it, imported by the
hooks that need it.
"""

import os
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .benches import Benches
    from .fixture import Foolbench

SHOWN = ("foolbench", "foolbench gate")
"""The user properties that the summary shows: results of the fixture, and verdicts of gates."""
BENCHES: "pytest.StashKey[Benches]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("foolbench", "adversarial robustness (foolbench)")
    group.addoption(
        "--foolbench",
        action="append",
        default=[],
        metavar="RECIPE",
        help="Run each cell of this recipe as a test: a TOML file, or the name of a shipped one.",
    )
    group.addoption(
        "--foolbench-out",
        metavar="DIR",
        help="Result folder; runs/RECIPE in the root directory if not given. Resumes what lies there.",
    )
    group.addoption(
        "--foolbench-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="Overrides the recipe, as foolbench run --set does.",
    )
    group.addoption(
        "--foolbench-baseline",
        metavar="DIR|CSV",
        help="An earlier run, or its leaderboard.csv: fail where a cell is significantly worse now.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Add the recipes that `--foolbench` names to the arguments, so that they are collected."""
    if config.getoption("foolbench"):
        from .collection import recipe_files

        config.args += [path for path in recipe_files(config) if path not in config.args]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect recipes that an option, an argument or `testpaths` names; not those in a collected folder."""
    if file_path.suffix != ".toml" or str(file_path) not in _named(parent.config):
        return None
    if not (parent.config.getoption("foolbench") or _is_recipe(file_path)):
        return None
    from .collection import RecipeFile

    return RecipeFile.from_parent(parent, path=file_path)


def _named(config: pytest.Config) -> set[str]:
    files = (argument.partition("::")[0] for argument in config.args)
    return {os.path.abspath(config.invocation_params.dir / file) for file in files}  # noqa: PTH100 (keeps symbolic links)


def _is_recipe(path: Path) -> bool:
    """Return whether a TOML file is meant to be a recipe, even if it has errors."""
    import tomllib

    with suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="utf-8")
        with suppress(tomllib.TOMLDecodeError, RecursionError):
            document = tomllib.loads(text)
            return "attacks" in document and not document.keys().isdisjoint({"models", "threat", "dataset"})
        return "[[attacks]]" in text
    return False


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """Lock the result folders while the tests run, and write their tables at the end."""
    benches = session.config.stash.get(BENCHES, None)
    if benches is not None and not session.config.option.collectonly:
        benches.hold(session.items)
    try:
        return (yield)
    finally:
        benches = session.config.stash.get(BENCHES, None)  # under xdist they are created while tests run
        if benches is not None:
            benches.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Sequence[str]) -> None:
    """Lock the result folders in the xdist controller, on behalf of its workers."""
    files = dict.fromkeys(node_id.partition("::")[0] for node_id in ids)
    recipes = [name for name in files if name.endswith(".toml")]
    if recipes:
        from .benches import Benches

        Benches.of(node.config).hold_files([node.config.rootpath / name for name in recipes])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and hasattr(item, "undecided"):
        vars(report)["undecided"] = True  # xdist sends the attributes of a report
        report.longrepr = (str(item.path), 0, getattr(item, "undecided"))  # noqa: B009 (only items of foolbench have it)
    return report


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> Any:
    """Report a gate that too few images leave open as undecided, neither passed nor failed."""
    return ("undecided", "u", ("UNDECIDED", {"yellow": True})) if getattr(report, "undecided", False) else None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name in SHOWN
    ]
    benches = config.stash.get(BENCHES, None)
    finished = [] if benches is None else benches.finished
    if finished or lines:
        from .summary import write_summary

        write_summary(terminalreporter, finished, lines)


@pytest.fixture
def foolbench(request: pytest.FixtureRequest) -> "Foolbench":
    """Evaluate an attack in a test: `foolbench.evaluate(model, data, attack=..., defense=...)` returns its rates."""
    from .fixture import Foolbench

    return Foolbench(request.node)
