"""Random numbers that depend on (seed, cell, sample) and on nothing else.

Every image of a batch has a random stream of its own. Its n-th 64 bits are the n-th output of SplitMix64
(https://doi.org/10.1145/2660193.2660195) started at the stream's key, so they can be computed for all images and
positions at once, on any device, with the same result for every batch size, shard and order of work. Libraries offer
per-sample streams only as a Python loop over generators on the host.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .errors import InputError

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit number, like the two below
_ROUNDS = ((30, -4658895280553007687), (27, -7723592293110705685))  # shift, and multiply by 0xBF.., 0x94D049BB133111EB
_LAST_SHIFT = 31  # leaves the upper 31 bits as they are
_AT_A_TIME = 2**15  # numbers on a CPU, so that intermediate results stay in its cache

Array = Any  # signed numbers, which wrap around: NumPy's on a CPU, in half of torch's time, or torch's


def derive_key(*parts: object) -> int:
    """Return a signed 64-bit key from anything with a stable `str`: seeds, names, cell hashes, sample indices."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _array(x: Tensor) -> Array:
    """Return the same memory as a NumPy array on a CPU, else the tensor itself."""
    return x.numpy() if x.device.type == "cpu" else x


def _shift_right(x: Array, bits: int, *, out: Array) -> Array:
    """Shift right and bring in zeros, where torch's own shift keeps the sign."""
    if isinstance(x, Tensor):
        return torch.bitwise_right_shift(x, bits, out=out).bitwise_and_((1 << (64 - bits)) - 1)
    np.right_shift(x.view(np.uint64), bits, out=out.view(np.uint64))
    return out


def _rounds(x: Array, *, spare: Array) -> Array:
    """Apply all of SplitMix64 but the last shift, in place."""
    for bits, factor in _ROUNDS:
        x ^= _shift_right(x, bits, out=spare)
        x *= factor
    return x


def _last_shift(x: Array, out: Array) -> None:
    _shift_right(x, _LAST_SHIFT, out=out)
    out ^= x


def _at_a_time(numbers: Tensor) -> int:
    return _AT_A_TIME if numbers.device.type == "cpu" else max(1, numbers.numel())


class Draws:
    """Random streams, one per image of a batch.

    Each method that draws returns a tensor of shape `(N, *shape)` on the streams' device and advances every stream by
    the same amount. `draws[rows]` are the streams of some of the images, `draws.fork(label)` are fresh independent
    ones.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys = keys  # int64 (N,)
        self._position = 0

    @classmethod
    def of(cls, *parts: object, samples: Sequence[int], device: torch.device | str = "cpu") -> "Draws":
        """Return streams for the given sample indices, under a seed and whatever else names the purpose."""
        keys = [derive_key(*parts, sample) for sample in samples]
        return cls(torch.tensor(keys, dtype=torch.int64, device=device))

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: Tensor | slice) -> "Draws":
        chosen = Draws(self.keys[rows])
        chosen._position = self._position
        return chosen

    def fork(self, label: object) -> "Draws":
        """Return independent streams of the same images; a label gives the same streams, whatever was drawn before."""
        keys, start = torch.empty_like(self.keys), self.keys + derive_key("fork", label)
        _last_shift(_rounds(_array(start), spare=_array(keys)), _array(keys))
        return Draws(keys)

    def split(self, count: int) -> "Draws":
        """Return `count` independent streams per image, N * count in all, those of one image together."""
        return Draws(self.fork("split").bits((count,)).flatten())

    def bits(self, shape: Sequence[int] = ()) -> Tensor:
        """Draw uniform int64, over all 64 bits."""
        return self._each(shape, torch.int64, _last_shift)

    def uniform(self, shape: Sequence[int] = (), low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw uniform float32 in [low, high), with 24 random bits."""
        unit = (high - low) * 2.0**-24

        def write(bits: Array, out: Array) -> None:
            out[...] = _shift_right(bits, 40, out=bits)
            out *= unit
            out += low

        return self._each(shape, torch.float32, write)

    def normal(self, shape: Sequence[int] = ()) -> Tensor:
        """Draw standard normal float32, by the Box-Muller transform."""
        radii, angles = self.uniform(shape), self.uniform(shape)
        at_a_time = _at_a_time(radii)
        for radius, angle in zip(radii.view(-1).split(at_a_time), angles.view(-1).split(at_a_time), strict=True):
            radius.neg_().add_(1).log_().mul_(-2).sqrt_().mul_(angle.mul_(2 * math.pi).cos_())
        return radii

    def signs(self, shape: Sequence[int] = ()) -> Tensor:
        """Draw -1.0 or 1.0 with equal probability, float32."""

        def write(bits: Array, out: Array) -> None:
            out[...] = bits >> 63  # the sign: -1 or 0
            out *= 2
            out += 1

        return self._each(shape, torch.float32, write)

    def integers(self, high: int, shape: Sequence[int] = ()) -> Tensor:
        """Draw uniform int64 in [0, high)."""
        bits = self.bits(shape)
        _shift_right(_array(bits), 1, out=_array(bits))
        return bits.remainder_(high)

    def _each(self, shape: Sequence[int], dtype: torch.dtype, write: Callable[[Array, Array], None]) -> Tensor:
        """Call `write(bits, out)` on the next bits of every stream; these lack the last shift and may be changed."""
        count, device = math.prod(shape), self.keys.device
        result = torch.empty(len(self), count, dtype=dtype, device=device)
        steps = torch.arange(self._position + 1, self._position + count + 1, device=device).mul_(_GOLDEN)
        self._position += count
        at_a_time = _at_a_time(result)
        width = max(1, min(count, at_a_time))
        height = max(1, min(len(self), at_a_time // width))
        buffers = _array(torch.empty(2, height, width, dtype=torch.int64, device=device))
        keys, steps, results = _array(self.keys[:, None]), _array(steps), _array(result)
        for top, left in itertools.product(range(0, len(self), height), range(0, count, width)):
            out = results[top : top + height, left : left + width]
            state, spare = buffers[:, : out.shape[0], : out.shape[1]]
            state[...] = steps[left : left + width]
            state += keys[top : top + height]
            write(_rounds(state, spare=spare), out)
        return result.view(len(self), *shape)


def as_draws(rng: "Draws | torch.Generator | int | None", samples: int, device: torch.device) -> Draws:
    """Return one stream per sample, from streams, a torch generator, a seed, or None for seed 0.

    A generator is advanced by one number, so that a second call with it draws anew. Raises InputError for anything
    else, and for streams of another number of samples.
    """
    if isinstance(rng, Draws):
        if len(rng) != samples:
            raise InputError(f"Expected one random stream for each of {samples} images, got {len(rng)}.")
        return rng
    if isinstance(rng, torch.Generator):
        rng = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    if rng is not None and not isinstance(rng, int):
        raise InputError(f"Expected rng to be a seed, a torch.Generator, Draws or None, got {type(rng).__name__}.")
    return Draws.of(rng or 0, samples=range(samples), device=device)
