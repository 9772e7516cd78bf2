"""A record is what was put into it, to the last bit, or it is refused."""

import numpy as np
import pandas as pd
import pytest
from foolbench.core import InputError
from foolbench.evaluation.ledger.record import Outcomes, merged

RNG = np.random.default_rng(0)
COLUMNS = {
    "binary": RNG.integers(0, 2, 50).astype(float),
    "draws": RNG.integers(0, 11, 50) / 10,
    "single": RNG.random(50, dtype=np.float32),
    "double": RNG.random(50),
    "counts": RNG.integers(0, 2**20, (50, 5, 3)),
    "large": RNG.integers(0, 2**40, 50).astype(float),
    "bool": RNG.random(50) < 0.5,
}
SAMPLES = RNG.permutation(10**6)[:50]


def some():
    images, flags = {"l2": COLUMNS["single"]}, frozenset({"a b", "ü"})
    return Outcomes(samples=SAMPLES, images=images, metrics={"iou": COLUMNS}, flags=flags)


def test_what_is_encoded_is_decoded():
    found, order = Outcomes.decode(some().encode()), np.argsort(SAMPLES)
    assert found.samples.tolist() == SAMPLES[order].tolist()
    assert found.flags == {"a b", "ü"}
    assert found.images.keys() == {"l2"}
    assert found.metrics["iou"].keys() == COLUMNS.keys()
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(found.metrics["iou"][name].astype(column.dtype), column[order])


def test_only_some_images_in_their_order():
    found = some().only([int(SAMPLES[7]), int(SAMPLES[3]), 10**7])
    assert found.samples.tolist() == sorted(SAMPLES[[3, 7]].tolist())
    order = [3, 7] if SAMPLES[3] < SAMPLES[7] else [7, 3]
    np.testing.assert_array_equal(found.metrics["iou"]["counts"], COLUMNS["counts"][order])


def test_of_an_image_that_two_records_have_the_later_one_counts(shard):
    found = merged([shard(2, 0, gfr=0.0), shard(1, 2, gfr=1.0, flags={"x"})])
    expected = pd.DataFrame({"sample": [0, 1, 2], "gfr": [0.0, 1.0, 1.0]})
    pd.testing.assert_frame_equal(found.frame("top1")[["sample", "gfr"]], expected)
    assert found.flags == {"x"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"gfr": 7.0}, {"gfr": -0.1}, {"floor": 1.1}, {"clean": -1.0}, {"attacked": np.nan}, {"clean": np.inf},
        {"gfr": "0.5"}, {"gfr": None},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(shard, wrong):
    with pytest.raises(InputError, match=f"as top1/{next(iter(wrong))}"):
        shard(0, 1, **wrong)


@pytest.mark.parametrize("samples", [(0, 0), (-1, 0), (0, 1, 2)], ids=str)
def test_every_image_is_there_once(shard, samples):
    images = shard(0, 1).images
    with pytest.raises(InputError, match=r"Expected (every image|3 numbers)"):
        Outcomes(samples=np.array(samples), images=images, metrics={})


@pytest.mark.parametrize("record", [b"", b"\0" * 100, some().encode()[:-9], some().encode()[1:]])
def test_what_is_no_record_is_refused(record):
    with pytest.raises(InputError, match="record"):
        Outcomes.decode(record)
