"""Mapping of a data set's classes to a network's outputs."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ...core.errors import ConfigError, why
from ...core.words import counted

WORDNET = re.compile(r"n\d{8}")
UNNAMED = "none"
"""Value of the option `classes` of an image folder that takes its pictures without labels."""


def mapping(
    data: str, names: Sequence[str], network: str, classes: int, class_names: Sequence[str], remedy: str
) -> list[int]:
    """Return, for each class of the data, the index of the network's output for it.

    Classes are matched by WordNet ids (if there are a thousand outputs), by equal names, or by order if the numbers are
    equal and no output has the name of a class. Raises ConfigError, with the `remedy`, if none of these applies: a
    guess would look like a bad network.
    """
    named = by_name(data, names, classes, class_names)
    if named is not None:
        return named
    if classes == len(names) and not set(map(_plain, names)) & set(map(_plain, class_names)):
        return list(range(len(names)))
    shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
    theirs = f" ({', '.join(class_names[:4])}, ...)" if class_names else ""
    raise ConfigError(
        f"{data} has {counted(len(names), 'class')} ({shown}) and {network} {counted(classes, 'output')}{theirs}: "
        f"{remedy.format(count=len(names))}."
    )


def by_name(data: str, names: Sequence[str], classes: int, class_names: Sequence[str]) -> list[int] | None:
    """Match classes to outputs as `mapping` does, but by WordNet ids or names only; None if any class has no match."""
    if classes == 1000 and all(WORDNET.fullmatch(name) for name in names):
        return _by_id(data, names)
    exact, plain = _places(class_names), _places([_plain(name) for name in class_names])
    found = [exact.get(name) or plain.get(_plain(name), []) for name in names]
    return [place for (place,) in found] if all(len(places) == 1 for places in found) else None


def _places(names: Sequence[str]) -> dict[str, list[int]]:
    """Return the positions of each name; some of ImageNet's thousand occur twice."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(name, []).append(place)
    return found


def read_classes(path: Path, names: Sequence[str]) -> list[str]:
    """Read a text file with the name of one output per line.

    Raises ConfigError if the file cannot be read or lacks one of the data's classes, `names`.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"Expected classes = a text file with a name a line, but {path}: {why(error)}.") from None
    missing = sorted(set(names) - set(lines))
    if missing:
        raise ConfigError(f"{path} does not name {len(missing)} of the classes, {missing[0]} the first of them.")
    return lines


@cache
def wordnet_ids() -> tuple[str, ...]:
    """Return the WordNet ids of ILSVRC 2012, sorted, which is the output order of ImageNet networks."""
    return tuple((Path(__file__).parent / "wordnet_ids.txt").read_text().split())


def _by_id(data: str, names: Sequence[str]) -> list[int]:
    place = {wnid: k for k, wnid in enumerate(wordnet_ids())}
    foreign = [name for name in names if name not in place]
    if foreign:
        raise ConfigError(f"{data} has the class {foreign[0]}, which is none of ImageNet's thousand; leave it out.")
    return [place[name] for name in names]


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ").strip()
