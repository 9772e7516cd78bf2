"""Keep one image as a system sees it, before and after the attack, for a report to show beside the numbers of a row.

It is the first of the run's first images that the bare network predicts rightly, or the one whose map it predicts best.
All rows of a network show the same image: it was not chosen for how well an attack did.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ....core.errors import foreign_errors
from ....core.files import writing
from ....core.model import Model
from ....core.seeding import Draws
from ..cache.kept import keep, recall
from ..crafting.crafted import Crafted
from ..crafting.shard import Shard
from .system import System

FOLDER = "examples"
CANDIDATES = 16
"""The number of images, the first of a run, from which the example is chosen."""
SIDE = 160
"""The largest length of a picture's longer side, in pixels: a run keeps hundreds of pictures."""
_TOLD = "told"
_COLOUR = re.compile("#[0-9a-f]{6}")

T = TypeVar("T")
Picture = NDArray[np.uint8]
"""A picture, uint8 (H, W, C), with one or three channels."""


class Answer(NamedTuple):
    """A prediction for an image: its label, the probability that the network gives it, and how much of it is `kept`.

    `kept`, in 0..1, is the agreement with the same system's prediction for the clean image. The label of a map is
    empty, since the map itself is among the pictures. The confidence is 0 if the task has none.
    """

    label: str
    confidence: float
    kept: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Example:
    """The example image of a cell, as index `sample`, with pictures and the predictions for it.

    `pictures` are `clean`, `attacked` and `change`, the perturbation, shown `amplified` times around grey; behind a
    defense also `clean defended` and `attacked defended`, the network's inputs: one draw of a random defense, the first
    of several views. `answers` has the system's predictions for `clean` and `attacked` and, behind a defense, those of
    the bare network (`bare clean`, `bare attacked`). `truth` is empty if it is unknown. Predictions that are maps are
    pictures as well: `clean map`, `attacked map` and so on, and `truth map`; `legend` pairs their colours, "#rrggbb",
    with words.
    """

    sample: int
    truth: str
    amplified: float
    answers: Mapping[str, Answer]
    pictures: Mapping[str, Picture]
    legend: Sequence[tuple[str, str]] = ()


def keep_example(folder: Path, cell: str, bare: System, system: System, shard: Shard, crafted: Crafted) -> None:
    """Write the example of a cell below a run's folder, from the shard that holds the first images of the run.

    A system may fail on a single image although its scores do not: then there is no example. Raises OutputError if the
    file cannot be written.
    """
    path = _path(folder, cell)
    try:
        found = _example(bare, system, shard, crafted)
    except foreign_errors():
        return
    told = {name: value for name, value in vars(found).items() if name != "pictures"}
    text = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
    with writing(path):
        keep(path, {_TOLD: text, **{name: torch.from_numpy(picture) for name, picture in found.pictures.items()}})


def read_example(folder: Path, cell: str) -> Example | None:
    """Return the example of a cell, or None if the run kept none or it is damaged."""
    tensors = recall(_path(folder, cell), {_TOLD, "clean", "attacked", "change"})
    if tensors is None:
        return None
    try:
        told: dict[str, Any] = json.loads(tensors.pop(_TOLD).numpy().tobytes())
        return Example(
            sample=int(told["sample"]),
            truth=str(told["truth"]),
            amplified=float(told["amplified"]),
            answers={
                name: Answer(str(label), float(sure), float(kept))
                for name, (label, sure, kept) in told["answers"].items()
            },
            legend=[(colour, str(word)) for colour, word in told["legend"] if _COLOUR.fullmatch(colour)],
            pictures={name: tensor.numpy() for name, tensor in tensors.items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _path(folder: Path, cell: str) -> Path:
    return folder / FOLDER / f"{cell}.safetensors"


def _example(bare: System, system: System, shard: Shard, crafted: Crafted) -> Example:
    row = _known(bare, shard)
    sample = shard.samples[row]
    x = torch.stack([shard.x[row], crafted.x_adv[row]])
    change = x[1] - x[0]
    amplified = max(1.0, float(torch.floor(0.5 / change.abs().max().clamp_min(1e-6))))
    answered, seen = _asked(system, sample, x)
    outputs, pictures = _pair("{}", answered.split(1)), _pair("{}", map(_picture, x))
    pictures["change"] = _picture(0.5 + amplified * change, sharp=True)
    if system.model.shells:
        outputs |= _pair("bare {}", _asked(bare, sample, x)[0].split(1))
        pictures |= _pair("{} defended", map(_picture, seen))
    truth = None if shard.y is None else shard.y[row : row + 1]
    maps, legend = _drawn(system.model, outputs, truth)
    return Example(
        sample=sample,
        truth="" if truth is None else system.model.task.word(truth[0], system.model.class_name),
        amplified=amplified,
        answers=_answers(system.model, outputs),
        pictures=pictures | maps,
        legend=legend,
    )


def _known(bare: System, shard: Shard) -> int:
    """Return the row of the candidate that the bare network predicts best, the first of several; 0 without labels."""
    first = shard.part(slice(CANDIDATES))
    if first.y is None:
        return 0
    (found, *_) = bare.unperturbed(first, "clean")
    return int(bare.model.task.agreement(found, first.y).argmax())


def _asked(system: System, sample: int, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return outputs for both versions of an image, with the same draws, and the network's inputs for them.

    Of several views of an image, the inputs are the first one.
    """
    rng = Draws.of(system.seed, system.model.sha, "example", samples=[sample] * len(x), device=x.device)
    seen = [x]
    with torch.no_grad():
        outputs = system.model.watched(x.clone(), lambda shell, images: seen.append(images), rng=rng)
    return outputs, seen[-1].unflatten(0, (len(x), -1))[:, 0]


def _pair(name: str, found: Iterable[T]) -> dict[str, T]:
    """Name the results for the clean and the attacked image, by a format such as "bare {}"."""
    return {name.format(image): each for image, each in zip(("clean", "attacked"), found, strict=True)}


def _answers(model: Model, outputs: Mapping[str, Tensor]) -> Mapping[str, Answer]:
    """Return the predictions, each with its agreement with the same system's prediction for the clean image."""
    task, found = model.task, {}
    for name, out in outputs.items():
        clean = task.predict(outputs[name.replace("attacked", "clean")])
        answer, sure = task.predict(out), task.confidence(out)
        label, kept = task.word(answer[0], model.class_name), float(task.agreement(answer, clean))
        found[name] = Answer(label, 0.0 if sure is None else float(sure), kept)
    return found


def _drawn(
    model: Model, outputs: Mapping[str, Tensor], truth: Tensor | None
) -> tuple[dict[str, Picture], Sequence[tuple[str, str]]]:
    """Return predictions and truth as pictures with a legend, if they are maps."""
    maps = {name: model.task.predict(out) for name, out in outputs.items()}
    maps |= {} if truth is None else {"truth": truth}
    drawing = model.task.draw(torch.cat([each.cpu() for each in maps.values()]), model.class_name)
    if drawing is None:
        return {}, []
    images = drawing.pictures.permute(0, 3, 1, 2).float() / 255
    return {
        f"{name} map": _picture(image, sharp=True) for name, image in zip(maps, images, strict=True)
    }, drawing.legend


def _picture(x: Tensor, *, sharp: bool = False) -> Picture:
    """Return an image (C, H, W) as a picture of limited size; if `sharp`, shrinking it keeps the contrast of pixels."""
    levels = (x.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    pixels = levels if levels.shape[2] in (1, 3) else levels.mean(axis=2, keepdims=True).astype(np.uint8)
    longest = max(pixels.shape[:2])
    if longest <= SIDE:
        return np.ascontiguousarray(pixels)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    size = (max(1, image.width * SIDE // longest), max(1, image.height * SIDE // longest))
    smaller = np.array(image.resize(size, Image.Resampling.NEAREST if sharp else Image.Resampling.BOX))
    return np.ascontiguousarray(smaller.reshape(size[1], size[0], pixels.shape[2]))
