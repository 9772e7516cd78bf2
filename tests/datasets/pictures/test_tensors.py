"""Tensors are data; whatever else is given, the line that the refusal names makes tensors of it."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, InputError
from foolbench.datasets import load_dataset

LEVELS = torch.randint(2, 256, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
IMAGES = LEVELS.float() / 255
LABELS = torch.tensor([0, 2, 1, 1, 0])


def test_a_pair_of_tensors_is_a_data_set():
    data = load_dataset((IMAGES, LABELS))
    x, y = data.load([3, 0])
    assert torch.equal(x, IMAGES[[3, 0]])
    assert (y.tolist(), data.labels.tolist(), data.task.classes) == ([1, 0], LABELS.tolist(), 3)
    assert data.fingerprint == load_dataset([IMAGES.clone(), LABELS.clone()]).fingerprint
    assert data.fingerprint != load_dataset((IMAGES, LABELS.flip(0))).fingerprint


@pytest.mark.parametrize("data", [IMAGES, (IMAGES, None)])
def test_labels_may_be_missing(data):
    found = load_dataset(data)
    assert (found.labels, found.load([0])[1]) == (None, None)


@pytest.mark.parametrize(
    "images",
    [
        LEVELS,
        LEVELS.float(),
        LEVELS.permute(0, 2, 3, 1),
        IMAGES.permute(0, 2, 3, 1),
        IMAGES.double(),
        IMAGES.numpy(),
        LEVELS.numpy().transpose(0, 2, 3, 1),
        IMAGES.permute(0, 2, 3, 1).double().numpy(),
    ],
)
def test_the_named_line_makes_images(images):
    with pytest.raises(InputError, match="convert: images = ") as caught:
        load_dataset((images, LABELS))
    line = str(caught.value).partition("convert: ")[2]
    names = {"torch": torch, "images": images}
    exec(line, names)
    assert torch.allclose(load_dataset((names["images"], LABELS)).load(range(5))[0], IMAGES)


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.numpy(),
        LABELS.int(),
        LABELS.numpy().astype(np.uint8),
        LABELS.tolist(),
        torch.nn.functional.one_hot(LABELS),
        torch.nn.functional.one_hot(LABELS).float().numpy(),
    ],
)
def test_the_named_line_makes_labels(labels):
    with pytest.raises(InputError, match="convert: labels = ") as caught:
        load_dataset((IMAGES, labels))
    names = {"torch": torch, "labels": labels}
    exec(str(caught.value).partition("convert: ")[2], names)
    assert torch.equal(load_dataset((IMAGES, names["labels"])).labels, LABELS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ((IMAGES - 0.5, LABELS), "normalisation"),
        ((IMAGES, LABELS[:3]), "5 images"),
        ((IMAGES * torch.nan, LABELS), "NaN"),
        (torch.utils.data.DataLoader([1, 2]), "give its .dataset"),
        (3, "got int"),
        ([], "length 0"),
    ],
)
def test_what_no_line_can_mend(data, says):
    with pytest.raises((InputError, ConfigError), match=says):
        load_dataset(data)
