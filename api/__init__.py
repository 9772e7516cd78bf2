"""foolbench: an adversarial robustness benchmark whose numbers can be trusted.

The subpackages `foolbench.attacks`, `foolbench.defenses` and so on are the other folders of the repository. Names are
imported lazily, when they are first accessed: importing torch alone takes a second, which `foolbench --version` need
not spend.
"""

from importlib import import_module
from typing import Any

_FOLDERS = ("attacks", "core", "datasets", "defenses", "evaluation", "models", "tasks")
_HOMES = {
    "Model": "core",
    "Recognition": "tasks",
    "adaptive": "defenses",
    "compare": "evaluation.report.comparison",
    "evaluate": "evaluation.python.evaluate",
    "class_scores": "evaluation.report.classes",
    "image_scores": "evaluation.report.images",
    "load_dataset": "datasets",
    "load_model": "models",
}
"""The main entry points, offered at the top level, and the modules (below `foolbench`) that define them."""

__all__ = ["__version__", *_FOLDERS, *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll] (made on demand)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = _found(name)
    return found


def _found(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # imported late: slower than everything else in this file

        return version(__name__)
    if name in _FOLDERS:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
