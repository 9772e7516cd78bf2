"""The cache of rendered scenes: a shard that is damaged is rendered anew, and no other."""

import numpy as np
import pytest
from foolbench.datasets.scenes import splits
from foolbench.datasets.scenes.splits import Shard, rendered
from joblib import parallel_config


@pytest.fixture
def starts(monkeypatch):
    """Where shards begin that are rendered; each of two scenes, which are of random pixels."""
    starts = []

    def render_shard(split, start, stop, size):
        starts.append(start)
        rng, maps = np.random.default_rng(start), (stop - start, size, size)
        images = rng.integers(0, 256, (*maps, 3), np.uint8)
        segmentations, depths = rng.integers(0, 9, maps, np.uint8), rng.integers(0, 9999, maps, np.uint16)
        return Shard(images, segmentations, depths, np.arange(start, stop))

    monkeypatch.setattr(splits, "render_shard", render_shard)
    monkeypatch.setattr(splits, "SHARD", 2)
    with parallel_config(backend="threading"):
        yield starts


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "text", "incomplete"])
def test_a_damaged_shard_is_rendered_anew(starts, tmp_path, monkeypatch, damage):
    monkeypatch.setattr(splits, "user_cache_path", lambda _name: tmp_path)
    before = rendered("train", 5, 16)
    assert sorted(starts) == [0, 2, 4]
    starts.clear()
    (path,) = tmp_path.rglob("000002.npz")
    whole = path.read_bytes()
    if damage == "incomplete":
        with np.load(path) as stored:
            parts = {name: stored[name] for name in stored.files if name != "depths"}
        np.savez_compressed(path, **parts)
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 9]) + whole[middle + 9 :]
        path.write_bytes({"empty": b"", "cut": whole[:middle], "flipped": flipped, "text": b"no shard"}[damage])
    told = []
    again = rendered("train", 5, 16, told.append)
    assert starts == [2]
    assert sum(told) == 6
    assert all(np.array_equal(a, b) for a, b in zip(again, before, strict=True))
    rendered("train", 5, 16)
    assert starts == [2]
