"""Find what a Python file imports, from its text, since imported constants do not reveal the module they come from."""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def imported_names(file: Path, module: str) -> set[str]:
    """Return the names of the modules that a module's text imports, at any place in it; empty if it is no Python.

    `from A import B` gives both A and A.B, although the latter need not be a module.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return set()
    return {name for node in ast.walk(tree) for name in _names(node, module, file.name == "__init__.py")}


def location(name: str) -> str | None:
    """Return the path of a module's file, without importing the module; None if there is none."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None)
    package = name.rpartition(".")[0]
    if package and package not in sys.modules:  # to look into it would import it
        return None
    with suppress(ImportError, ValueError, AttributeError):
        spec = importlib.util.find_spec(name)
        return None if spec is None else spec.origin
    return None


def _names(node: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        package = module.split(".")[: None if is_package else -1]
        above = package[: len(package) + 1 - node.level] if node.level else []
        base = ".".join([*above, *([node.module] if node.module else [])])
        yield from (name for name in (base, *(f"{base}.{alias.name}" for alias in node.names)) if base)
