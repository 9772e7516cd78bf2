"""Pictures are read as they are needed: however many there are, memory is that of a few batches."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

PICTURES, BATCH = 600, 50
SCRIPT = f"""
import resource, sys
import foolbench.datasets
from foolbench.core import Preprocess, datasets
from foolbench.evaluation.engine.memory.prefetch import Prefetcher

folder, peaks = datasets.bind("image-folder:" + sys.argv[1], {{}})(), []
folder.preprocess = Preprocess(size=(224, 224), resize=224)
batches = [range(start, start + {BATCH}) for start in range(0, {PICTURES}, {BATCH})]
for _ in range(2):
    coming = Prefetcher()
    for batch, following in zip(batches, [*batches[1:], batches[0]]):
        images, _ = coming.result(folder.load, batch)
        coming.begin(folder.load, following)
        images.sum()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(peaks[3], peaks[-1])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="how memory is counted and given back is the system's")
def test_it_stays_flat_over_two_passes(tmp_path):
    """The threshold makes the allocator give back what is freed, so that what is left is in use."""
    (tmp_path / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for k in range(PICTURES):
        Image.fromarray(np.roll(pixels, k, axis=0)).save(tmp_path / "a" / f"{k:05d}.jpg")
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    after_four, after_two_passes = map(int, found.stdout.split())
    whole = PICTURES * 3 * 224 * 224 * 4 // 2**20
    assert after_two_passes - after_four < whole / 6
