"""Draws are SplitMix64 streams: the right numbers, well distributed, and independent of everything but their key."""

import numpy as np
import pytest
import torch
from foolbench.core import Draws, seeding
from foolbench.core.seeding import as_draws, derive_key
from scipy import stats

MASK = 2**64 - 1


def splitmix64(state: int, count: int) -> list[int]:
    """Steele et al. 2014, written down independently: unsigned Python integers, one number after the other."""
    numbers = []
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def test_the_reference_itself_gives_the_published_vector():
    assert splitmix64(1234567, 3) == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@pytest.mark.parametrize("key", [0, 1, 1234567, -1, 2**63 - 1, -(2**63)])
def test_bits_are_splitmix64(key):
    bits = Draws(torch.tensor([key])).bits((64,))[0]
    assert [int(b) & MASK for b in bits] == splitmix64(key & MASK, 64)


def test_calls_continue_the_stream_in_row_major_order():
    draws, whole = Draws.of(3, samples=[5, 9]), Draws.of(3, samples=[5, 9]).bits((11,))
    parts = [draws.bits((2, 3)).reshape(2, -1), draws.bits().reshape(2, 1), draws.bits((4,))]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_uniform_integers_and_signs_are_made_of_these_bits():
    reference = splitmix64(7, 100)
    fresh = lambda: Draws(torch.tensor([7]))  # noqa: E731
    assert fresh().uniform((100,))[0].tolist() == [(z >> 40) / 2**24 for z in reference]
    assert fresh().integers(10, (100,))[0].tolist() == [(z >> 1) % 10 for z in reference]
    assert fresh().signs((100,))[0].tolist() == [-1.0 if z >> 63 else 1.0 for z in reference]


@pytest.mark.parametrize(
    ("sample", "law"),
    [
        (lambda d, shape: d.uniform(shape), stats.uniform()),
        (lambda d, shape: d.uniform(shape, -3.0, 5.0), stats.uniform(-3, 8)),
        (lambda d, shape: d.normal(shape), stats.norm()),
    ],
    ids=["uniform", "uniform-scaled", "normal"],
)
@pytest.mark.parametrize("shape", [(1, 40_000), (40_000, 1)], ids=["along-a-stream", "across-streams"])
def test_distribution(sample, law, shape):
    streams, count = shape
    values = sample(Draws.of("distribution", samples=range(streams)), (count,)).flatten().double().numpy()
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


def test_neighbouring_draws_are_uncorrelated():
    values = Draws.of("correlation", samples=range(200)).normal((200,)).double().numpy()
    limit = 4 / np.sqrt(values.size)  # four standard deviations
    assert abs(np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]) < limit
    assert abs(np.corrcoef(values[1:].ravel(), values[:-1].ravel())[0, 1]) < limit


def test_signs_and_integers_are_balanced():
    draws, count = Draws.of("balance", samples=range(100)), 1000
    assert stats.binomtest(int((draws.signs((count,)) > 0).sum()), 100 * count).pvalue > 1e-3
    histogram = torch.bincount(draws.integers(7, (count,)).flatten(), minlength=7)
    assert len(histogram) == 7
    assert stats.chisquare(histogram.numpy()).pvalue > 1e-3


def test_a_stream_depends_on_its_sample_only():
    together = Draws.of(0, "cell", samples=[3, 1, 8]).normal((5,))
    for row, sample in enumerate([3, 1, 8]):
        assert torch.equal(Draws.of(0, "cell", samples=[sample]).normal((5,))[0], together[row])


@pytest.mark.parametrize("parts", [(1, "cell"), (0, "other"), (0,), ("cell", 0)])
def test_other_parts_give_other_streams(parts):
    assert not torch.equal(Draws.of(*parts, samples=[3]).bits((4,)), Draws.of(0, "cell", samples=[3]).bits((4,)))


@pytest.mark.parametrize("rows", [torch.tensor([2, 0]), slice(1, 3), torch.tensor([True, False, True])])
def test_indexing_keeps_streams_and_their_position(rows):
    draws, whole = Draws.of(0, samples=range(3)), Draws.of(0, samples=range(3)).bits((9,))
    draws.bits((4,))
    chosen = draws[rows]
    assert torch.equal(chosen.bits((5,)), whole[rows, 4:])
    assert torch.equal(draws.bits((5,)), whole[:, 4:]), "drawing from a part moved the whole on"


def test_fork_is_stable_wherever_its_parent_has_got_to():
    draws = Draws.of(0, samples=range(4))
    before = draws.fork("a").bits((6,))
    draws.normal((10,))
    assert torch.equal(draws.fork("a").bits((6,)), before)
    assert torch.equal(draws[1:3].fork("a").bits((6,)), before[1:3])


def test_forks_differ_from_each_other_and_from_their_parent():
    draws = Draws.of(0, samples=range(3))
    family = [draws, draws.fork("a"), draws.fork("b"), draws.fork(0), draws.fork(1), draws.fork("a").fork("a")]
    family += [draws.fork("a").fork("b"), draws.fork("b").fork("a")]
    numbers = torch.cat([member.bits((1000,)).flatten() for member in family])
    assert len(numbers.unique()) == len(numbers)


def test_a_fork_is_uncorrelated_with_its_parent():
    draws = Draws.of("fork", samples=range(100))
    parent, child = draws.normal((100,)).double().numpy(), draws.fork(0).normal((100,)).double().numpy()
    assert abs(np.corrcoef(parent.ravel(), child.ravel())[0, 1]) < 4 / 100


def test_derive_key_is_pinned():
    # a change here changes every published number
    assert derive_key(0) == derive_key("0") == 8493733112532773764
    assert derive_key("ab", "c") != derive_key("a", "bc")


def test_as_draws_takes_what_a_caller_has():
    cpu, draws = torch.device("cpu"), Draws.of(9, samples=range(2))
    assert as_draws(draws, 2, cpu) is draws
    assert torch.equal(as_draws(9, 2, cpu).keys, draws.keys)
    assert torch.equal(as_draws(None, 2, cpu).keys, Draws.of(0, samples=range(2)).keys)
    generators = [torch.Generator().manual_seed(4) for _ in range(2)]
    first, second = (as_draws(generators[0], 2, cpu).keys for _ in range(2))
    assert not torch.equal(first, second), "a second call with one generator must draw anew"
    assert torch.equal(as_draws(generators[1], 2, cpu).keys, first)


def test_numbers_are_pinned():
    # a change here changes every published number
    draws = Draws.of("pinned", samples=[0, 7])
    assert draws.bits((2,)).tolist() == [
        [-2696170372709290685, 8324052292442893877],
        [5600522089670441102, -6845788297083965195],
    ]
    assert draws.uniform((2,)).tolist() == [
        [0.33824408054351807, 0.9231032133102417],
        [0.20591652393341064, 0.24881839752197266],
    ]
    assert draws.uniform((2,), -1, 3).tolist() == [
        [-0.5289745330810547, 2.7980053424835205],
        [1.2684800624847412, -0.7402186393737793],
    ]
    normal = [[-0.4616064727306366, 0.3307487666606903], [-0.505338728427887, -0.5362008213996887]]
    torch.testing.assert_close(draws.normal((2,)), torch.tensor(normal), rtol=0, atol=1e-6)  # libraries' logarithms
    assert draws.integers(1000, (3,)).tolist() == [[649, 422, 258], [407, 522, 567]]
    assert draws.signs((4,)).tolist() == [[-1, -1, 1, 1], [1, 1, 1, 1]]
    assert draws.fork("x").bits().tolist() == [-8321500955178519930, -1856130977976098104]


@pytest.mark.parametrize("count", [1000, seeding._AT_A_TIME - 1, 2 * seeding._AT_A_TIME + 5])
def test_long_and_many_streams_are_as_one_number_at_a_time(count):
    # more numbers than are worked on at a time, across streams and along them
    draws = Draws.of("long", samples=range(70 if count == 1000 else 2))
    bits = draws.bits((count,))
    for place in (0, count // 2, count - 1):
        single = draws[:]
        single._position = place
        assert torch.equal(single.bits(), bits[:, place])
