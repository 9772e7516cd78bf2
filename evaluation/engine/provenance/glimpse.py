"""Thumbnails of some images of a data set, by which a resumed run notices that the data have changed.

The data set's fingerprint does not suffice: it is the data set's own claim, and may be a constant.
"""

import json
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ....core.dataset import Dataset
from ....core.errors import OutputError
from ...grid.sampling import looked_at
from ...ledger.ledger import Ledger

SIDE = 4  # of a thumbnail, in pixels
TOLERANCE = 2  # in levels of 255: image decoders round differently
DETAIL = 0.15
"""How far the fine detail of an image may differ, relative to itself, and half a level."""

Glimpse = dict[str, list[Any]]


def glimpse(dataset: Dataset) -> Glimpse:
    """Return thumbnails of a few samples, as integers in 0..255, with their targets; for maps the mean target."""
    samples = looked_at(dataset)
    images, targets = dataset.load(samples)
    levels = (F.adaptive_avg_pool2d(images, SIDE) * 255).round().int().flatten(1)
    means = [] if targets is None else targets.double().reshape(len(targets), -1).mean(dim=1).tolist()
    return {"samples": samples, "levels": levels.tolist(), "targets": means, "details": _details(images).tolist()}


def _details(images: Tensor) -> Tensor:
    """Return the mean difference of neighbouring pixels, (N,) in levels: what another resampling would change."""
    down, across = (255 * images.diff(dim=side).abs().flatten(1).mean(dim=1) for side in (2, 3))
    return (down + across).nan_to_num(0.0)  # a side of one pixel has no neighbours


def check_glimpse(dataset: Dataset, ledger: Ledger) -> None:
    """Raise OutputError if the data differ from those behind the ledger's scores; at the first time, record them."""
    now, known = glimpse(dataset), ledger.glimpse(dataset.fingerprint)
    if known is None:
        ledger.write_glimpse(dataset.fingerprint, json.dumps(now))
        return
    changed = _first_change(json.loads(known), now)
    if changed is not None:
        raise OutputError(
            f"The data say that they are as when this run began (fingerprint {dataset.fingerprint}), but {changed} is "
            "another now; restore them, or give them another fingerprint and choose another --out."
        )


def _blurred(then: Glimpse, now: Glimpse) -> Tensor:
    """Return which images are finer or coarser than before, as a mask (N,); old versions did not record that."""
    after = torch.tensor(now["details"])
    before = torch.tensor(then.get("details", now["details"]))
    return (before - after).abs() > DETAIL * before + 0.5


def _first_change(then: Glimpse, now: Glimpse) -> str | None:
    if then["samples"] != now["samples"]:
        return "the number of images"
    before, after = torch.tensor(then["levels"]), torch.tensor(now["levels"])
    if before.shape != after.shape or len(then["targets"]) != len(now["targets"]):
        return "the number of channels or of labels"
    images = ((before - after).abs().amax(dim=1) > TOLERANCE) | _blurred(then, now)
    targets = (torch.tensor(then["targets"]) - torch.tensor(now["targets"])).abs() > 1e-6
    for what, differs in {"image": images, "target": targets}.items():
        if differs.any():
            return f"the {what} of sample {now['samples'][int(differs.nonzero()[0])]}"
    return None
