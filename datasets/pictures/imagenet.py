"""ILSVRC 2012 validation images at `imagenet:PATH`, in folders named by WordNet id or flat with the devkit.

The devkit numbers classes from 1 in an order of its own, which data/meta.mat translates into WordNet ids; networks
number them from 0 in the order of the ids.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...core.dataset import Dataset
from ...core.errors import ConfigError, one_line, why
from ...core.registry import Family
from .classes import WORDNET, wordnet_ids
from .files import BadImages, PictureFile, PictureFiles, folder_at, pictures_at, pictures_in

PREFIX = "imagenet"
SUMMARY = "ImageNet's validation images, in WordNet class folders or flat with the devkit beside them."
GROUND_TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
_VALIDATION = re.compile(r"ILSVRC2012_val_(\d{8})")


def _loader(address: str) -> Callable[..., Dataset]:
    def load(
        *,
        devkit: str | None = None,
        bad_images: BadImages = "stop",
        train: str | None = None,
        train_share: float = 0.0,
    ) -> PictureFiles:
        folder = folder_at(address.removeprefix(f"{PREFIX}:"), address)
        files = _in_class_folders(folder) or _flat(folder, Path(devkit).expanduser() if devkit else None)
        return PictureFiles(
            address,
            folder,
            files,
            wordnet_ids(),
            bad_images=bad_images,
            train=train,
            train_share=train_share,
        )

    load.__doc__ = SUMMARY
    return load


def _in_class_folders(folder: Path) -> list[PictureFile]:
    """Return the files in class folders of `folder` or its `val`, where any subset of classes will do, or []."""
    labels = {wnid: label for label, wnid in enumerate(wordnet_ids())}
    for root in (folder, folder / "val"):
        children = sorted(root.iterdir()) if root.is_dir() else []
        named = [child for child in children if child.is_dir() and WORDNET.fullmatch(child.name)]
        foreign = [child.name for child in named if child.name not in labels]
        if foreign:
            raise ConfigError(f"{root} has the folder {foreign[0]}, which is none of ImageNet's thousand classes.")
        if named:
            return [PictureFile(path, labels[child.name]) for child in named for path in pictures_in(child)]
    return []


def _flat(folder: Path, devkit: Path | None) -> list[PictureFile]:
    """Return the files of a flat folder or its `val`; ILSVRC2012_val_00000001.JPEG is line 1 of the ground truth."""
    paths = pictures_at(folder) or pictures_at(folder / "val")
    truth = _ground_truth(_beside(folder, devkit, GROUND_TRUTH), _labels_of_devkit(_beside(folder, devkit, META)))
    files = []
    for path in paths:
        named = _VALIDATION.fullmatch(path.stem)
        if named is None or not 1 <= int(named[1]) <= len(truth):
            raise ConfigError(f"Expected names as ILSVRC2012_val_00000001.JPEG in {path.parent}, got {path.name}.")
        files.append(PictureFile(path, truth[int(named[1]) - 1]))
    return files


def _ground_truth(path: Path, labels: dict[int, int]) -> list[int]:
    """Return the label of each image, translated from the ILSVRC id by `labels`."""
    try:
        ids = [int(line) for line in path.read_text(encoding="utf-8").split()]
    except (OSError, ValueError) as error:
        raise ConfigError(f"Expected a class of ImageNet on each line of {path}, but: {why(error)}.") from None
    foreign = next((number for number in ids if number not in labels), None)
    if foreign is not None:
        raise ConfigError(f"{path} has the class {foreign}, which is none of the thousand of {META}.")
    return [labels[number] for number in ids]


def _beside(folder: Path, devkit: Path | None, name: str) -> Path:
    places = [devkit] if devkit else [folder, folder.parent]
    found = [path for place in places for path in sorted(place.rglob(name))]
    if not found:
        raise ConfigError(
            f"{folder} has no class folders named by WordNet id, as n01440764; the labels of a flat folder are in "
            f"the devkit (ILSVRC2012_devkit_t12), but {name} is not in "
            f"{' or '.join(map(str, places))}; unpack it there or say devkit = PATH."
        )
    return found[0]


def _labels_of_devkit(meta: Path) -> dict[int, int]:
    """Return a dict from ILSVRC id to the index of the WordNet id in sorted order."""
    from scipy.io import loadmat

    try:
        synsets = np.atleast_1d(loadmat(meta, squeeze_me=True)["synsets"])
        ids = {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets if int(one["num_children"]) == 0}
    except Exception as error:  # noqa: BLE001 (whatever damaged bytes lead to)
        raise ConfigError(f"Expected the synsets of ImageNet's devkit in {meta}, but: {one_line(error)}.") from None
    place = {wnid: label for label, wnid in enumerate(wordnet_ids())}
    return {number: place[wnid] for number, wnid in ids.items() if wnid in place}


FAMILY: Family[Dataset] = Family({f"{PREFIX}:PATH": SUMMARY}, _loader, is_open=True)
