"""foolbench: an adversarial robustness benchmark whose numbers can be trusted.

Its parts are the other folders of the repository: `foolbench.attacks`, `foolbench.defenses` and so on. What stands here
is imported when it is first asked for: torch alone takes a second, which `foolbench --version` need not.
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
    "image_scores": "evaluation.report.images",
    "load_dataset": "datasets",
    "load_model": "models",
}
"""What people begin with, and the module that defines it."""

__all__ = ["__version__", *_FOLDERS, *_HOMES]  # pyright: ignore[reportUnsupportedDunderAll] (made on demand)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = _found(name)
    return found


def _found(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # here: it takes longer than all else in this file

        return version(__name__)
    if name in _FOLDERS:
        return import_module(f"{__name__}.{name}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
