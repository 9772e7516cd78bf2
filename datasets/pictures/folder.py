"""Pictures at `image-folder:PATH`: a folder per class, sorted by name or number, or one flat folder without labels."""

from collections.abc import Callable
from pathlib import Path

from ...core.dataset import Dataset
from ...core.errors import ConfigError
from ...core.registry import Family
from .classes import UNNAMED, read_classes
from .files import BadImages, PictureFile, PictureFiles, files_in, folder_at, pictures_at, pictures_in
from .reading import SUFFIXES

PREFIX = "image-folder"
SUMMARY = "Pictures in class folders, or in one flat folder without labels."


class ClassFolders(PictureFiles):
    """Pictures in one folder per class; folders may have any names."""

    remedy = (
        "give a network that is made for these classes = {count}, or the data set classes = FILE, a text file whose "
        f'line k names the folder of output k, or classes = "{UNNAMED}" to go without labels'
    )


def _loader(address: str) -> Callable[..., Dataset]:
    def load(
        *,
        classes: str | None = None,
        bad_images: BadImages = "stop",
        train: str | None = None,
        train_share: float = 0.0,
    ) -> ClassFolders:
        folder = folder_at(address.removeprefix(f"{PREFIX}:"), address)
        files, names = _listed(folder, skip=bad_images == "skip")
        if classes == UNNAMED:
            files, names = [PictureFile(file.path, None) for file in files], None
        elif classes is not None:
            files, names = _in_order_of(Path(classes).expanduser(), files, names, address)
        return ClassFolders(
            address,
            folder,
            files,
            names,
            bad_images=bad_images,
            in_order=classes not in (None, UNNAMED),
            train=train,
            train_share=train_share,
        )

    load.__doc__ = SUMMARY
    return load


def _listed(folder: Path, *, skip: bool) -> tuple[list[PictureFile], list[str] | None]:
    """Return the picture files, and the class names or None.

    Raises ConfigError for class folders mixed with flat pictures, which have no class, and, unless `skip`, for a class
    folder that has files but no pictures.
    """
    children = sorted(filter(_is_class, folder.iterdir()))
    if all(child.name.isdecimal() for child in children):
        children.sort(key=lambda child: int(child.name))  # 10 after 9
    inside = {child.name: pictures_in(child) for child in children}
    odd = next((child for child in children if not inside[child.name] and files_in(child)), None)
    inside = {name: paths for name, paths in inside.items() if paths}
    if odd is not None and inside and not skip:
        raise ConfigError(
            f"{odd} has files, but no pictures ({' '.join(sorted(SUFFIXES))}): take it out of {folder}, or say "
            'bad_images = "skip".'
        )
    flat = pictures_at(folder)
    if not inside:
        return [PictureFile(path, None) for path in flat], None
    if flat:
        raise ConfigError(
            f"Expected class folders or a flat folder of pictures, got both in {folder}: {flat[0].name} has no class."
        )
    files = [PictureFile(path, label) for label, paths in enumerate(inside.values()) for path in paths]
    return files, list(inside)


def _is_class(child: Path) -> bool:
    return child.is_dir() and not child.name.startswith(".")


def _in_order_of(
    path: Path, files: list[PictureFile], names: list[str] | None, address: str
) -> tuple[list[PictureFile], list[str]]:
    if names is None:
        raise ConfigError(f"{address} has no class folders that classes = {path} could name.")
    lines = read_classes(path, names)
    return [PictureFile(file.path, lines.index(names[file.label or 0])) for file in files], lines


FAMILY: Family[Dataset] = Family({f"{PREFIX}:PATH": SUMMARY}, _loader, is_open=True)
