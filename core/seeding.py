"""Random numbers that depend on (seed, cell, sample) and on nothing else.

Every image of a batch owns a stream. Its n-th 64 bits are the n-th output of SplitMix64 (https://doi.org/10.1145/2660193.2660195)
started at the stream's key, so they can be computed for all images and positions at once, on any device, with the same
result for every batch size, shard and order of work. Libraries offer per-sample streams only as a Python loop over
generators on the host.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .errors import InputError

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit number, like the two below
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB


def derive_key(*parts: object) -> int:
    """A signed 64-bit key from anything with a stable `str`: seeds, names, cell hashes, sample indices."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)  # torch's own shift keeps the sign


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


class Draws:
    """One random stream per image of a batch.

    Each method returns a tensor of shape (N, *shape) on the streams' device and moves every stream on by the same
    amount. `draws[rows]` are the streams of some of the images, `draws.fork(label)` are fresh independent ones.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys  # int64 (N,)
        self._position = 0

    @classmethod
    def of(cls, *parts: object, samples: Sequence[int], device: torch.device | str = "cpu") -> "Draws":
        """Streams of the given sample indices under a seed and whatever else names the purpose."""
        keys = [derive_key(*parts, sample) for sample in samples]
        return cls(torch.tensor(keys, dtype=torch.int64, device=device))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: Tensor | slice) -> "Draws":
        chosen = Draws(self.keys[rows])
        chosen._position = self._position
        return chosen

    def fork(self, label: object) -> "Draws":
        """Independent streams of the same images; the same label gives the same streams, wherever `self` has got to."""
        return Draws(_mix(self.keys + derive_key("fork", label)))

    def split(self, count: int) -> "Draws":
        """`count` independent streams of each image, (N * count), those of one image together."""
        return Draws(self.fork("split").bits((count,)).flatten())

    def bits(self, shape: Sequence[int] = ()) -> Tensor:
        """Uniform int64."""
        count = math.prod(shape)
        counter = torch.arange(self._position + 1, self._position + count + 1, device=self.keys.device)
        self._position += count
        return _mix(self.keys[:, None] + counter * _GOLDEN).reshape(len(self), *shape)

    def uniform(self, shape: Sequence[int] = (), low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform float32 in [low, high), 24 bits deep."""
        return low + (high - low) * (_shift_right(self.bits(shape), 40).float() * 2.0**-24)

    def normal(self, shape: Sequence[int] = ()) -> Tensor:
        """Standard normal float32, by the Box-Muller transform."""
        radius = torch.sqrt(-2 * torch.log(1 - self.uniform(shape)))
        return radius * torch.cos(2 * math.pi * self.uniform(shape))

    def signs(self, shape: Sequence[int] = ()) -> Tensor:
        """-1.0 or 1.0 with equal chances, float32."""
        return 1.0 - 2.0 * (self.bits(shape) < 0).float()

    def integers(self, high: int, shape: Sequence[int] = ()) -> Tensor:
        """Uniform int64 in [0, high)."""
        return torch.remainder(_shift_right(self.bits(shape), 1), high)


def as_draws(rng: "Draws | torch.Generator | int | None", samples: int, device: torch.device) -> Draws:
    """One stream per sample from what a caller has at hand: streams, a torch generator, a seed, or None for seed 0.

    A generator is advanced by one number, so that a second call with it draws anew.
    """
    if isinstance(rng, Draws):
        if len(rng) != samples:
            raise InputError(f"Expected one random stream for each of {samples} images, got {len(rng)}.")
        return rng
    if isinstance(rng, torch.Generator):
        rng = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    return Draws.of(rng or 0, samples=range(samples), device=device)
