"""Pictures in a folder on their way to the network: against torchvision's reader, and against the network alone."""

import numpy as np
import pytest
import torch
from foolbench.core import Preprocess, datasets
from foolbench.evaluation.engine.memory.prefetch import Prefetcher
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder as TorchvisionFolder
from torchvision.models import resnet18
from torchvision.transforms import ToTensor

COUNT, BATCH, SIDE = 1000, 50, 224


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory):
    """In two class folders: noise of several scales, so that decoding has the work of a photograph."""
    root, rng = tmp_path_factory.mktemp("jpegs"), np.random.default_rng(0)
    for name in ("a", "b"):
        (root / name).mkdir()
    for k in range(COUNT):
        coarse = Image.fromarray(rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)).resize((SIDE, SIDE))
        pixels = np.asarray(coarse) * 0.8 + rng.uniform(0, 50, (SIDE, SIDE, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(root / "ab"[k % 2] / f"{k:05d}.jpg", quality=90)
    return root


@pytest.fixture
def streamed(jpegs):
    """A function that gives the images of the folder, batch after batch, the next ones read ahead."""
    folder = datasets.bind(f"image-folder:{jpegs}", {})()
    folder.preprocess = Preprocess(size=(SIDE, SIDE), resize=SIDE)
    batches = [range(start, start + BATCH) for start in range(0, COUNT, BATCH)]

    def streamed():
        coming, load = Prefetcher(), folder.load
        for batch, following in zip(batches, [*batches[1:], None], strict=True):
            x, _ = coming.result(load, batch)
            if following is not None:
                coming.begin(load, following)
            yield x

    return streamed


def test_reading_against_torchvision(ratio, jpegs, streamed):
    peer = DataLoader(TorchvisionFolder(str(jpegs), ToTensor()), batch_size=BATCH, num_workers=2)
    for ours, (theirs, _) in zip(streamed(), peer, strict=True):
        assert torch.equal(ours, theirs)
    ratio(lambda: [x.sum() for x in streamed()], lambda: [x.sum() for x, _ in peer], limit=1.1, rounds=3)


@torch.inference_mode()
def test_a_pass_against_the_network_alone(ratio, streamed):
    """Which is slower than decoding."""
    net = resnet18(weights=None).eval()
    held = next(iter(streamed()))
    ratio(
        lambda: [net(x) for x in streamed()],
        lambda: [net(held) for _ in range(COUNT // BATCH)],
        limit=1.1,
        rounds=2,
    )
