"""A network's outputs for a few fixed images: the part of its identity that its weights and code do not show.

An argument that `repr` does not show, a hook, a plain attribute or a replaced `forward` changes the function, but not
the hash of the weights. So the network is evaluated: on noise, and on real images, which may take ways that noise does
not.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn import functional as F

from .errors import ConfigError
from .model import Model

_GRAINS = (1, 2, 4, 8)
"""Edge length, in pixels, of the blobs of noise in each probe: a network for photographs does not see the finest."""
_DEFAULT = (3, 64, 64)
_ROUNDING = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
"""How far one network's outputs may differ between machines, relative to their spread; 1e-4 in float32 and above."""
_CELLS = 16
"""The number of rows and columns of means that are kept of a map: whole maps would make a manifest of 100 megabytes."""
_DECODED = 5e-2
"""How far outputs for real images may differ: another machine may decode a picture a level brighter."""
_STEADY = 1e-3
"""How little an output varies over the probes, relative to its size, if it counts as constant."""
_LOOSER = 100.0
_SWITCHED = 0.3
"""How far a gradient may be off, relative to its length, where rounding switches units on or off.

A gradient is not continuous: in a deep network rounding switches some units, but not at most of the probes.
"""
_ROUNDED = 5.0
"""How many tolerances a gradient may be further off.

A ResNet-101 in bfloat16 is off by 0.5 of its length from exact arithmetic, two machines may differ by 0.7. A missing
gradient is off by 1, another network's by more.
"""


@dataclass(frozen=True)
class Behaviour:
    """A network's outputs (P, ...) for the probes and, if any, the gradient (P, C, H, W) of a fixed sum of them.

    `seen` are its outputs (N, ...) for real images, if it was shown some.
    """

    outputs: Tensor
    gradient: Tensor | None
    tolerance: float
    seen: Tensor | None = None

    @classmethod
    def of(
        cls, model: Model, shape: Sequence[int | None] = (None, None, None), images: Tensor | None = None
    ) -> "Behaviour":
        """Evaluate the bare network on probes of its own shape; `shape` fills in the sizes that it leaves open.

        It is also evaluated on real `images` (N, C, H, W) in [0, 1], if there are any. Raises ConfigError for a network
        that returns other outputs when it is evaluated again.
        """
        bare = model.through(())
        sizes = [own or asked or usual for own, asked, usual in zip(model.shape, shape, _DEFAULT, strict=True)]
        x = probes(sizes[0], sizes[1], sizes[2]).to(model.device)
        with torch.inference_mode(False), torch.enable_grad():
            outputs = bare(x.requires_grad_())
            gradient = _gradient(outputs, x)
        found = cls(_told(outputs.detach()), gradient, _ROUNDING.get(model.precision, 1e-4))
        with torch.no_grad():
            again = cls(_told(bare(x)), gradient, found.tolerance)
            seen = None if images is None else _shown(bare, images)
        if not found.same(again):
            raise ConfigError(
                f"{model.name} is random: it answers otherwise when it is asked again; seed or remove that."
            )
        return replace(found, seen=seen)

    def same(self, other: "Behaviour") -> bool:
        """Return whether both can belong to one network, up to rounding."""
        if self.outputs.shape != other.outputs.shape or (self.gradient is None) != (other.gradient is None):
            return False
        near = _near(self.outputs, other.outputs, self.tolerance) and self._sees_like(other)
        if self.gradient is None or other.gradient is None:
            return near
        if self.gradient.shape != other.gradient.shape:  # one network for images of two sizes
            return False
        lengths = self.gradient.flatten(1).double().norm(dim=1)
        off = (self.gradient - other.gradient).flatten(1).double().norm(dim=1)
        unswitched = off <= _LOOSER * self.tolerance * lengths
        most = _SWITCHED + _ROUNDED * self.tolerance
        return near and bool(2 * unswitched.sum() >= len(off)) and bool((off <= most * lengths).all())

    def _sees_like(self, other: "Behaviour") -> bool:
        if self.seen is None or other.seen is None:  # a run of an earlier version recorded none
            return True
        return self.seen.shape == other.seen.shape and _near(self.seen, other.seen, max(_DECODED, self.tolerance))

    @cached_property
    def id(self) -> str:
        """Hash of about two digits of the outputs, the same on most machines; `same` decides."""
        unit = 10.0 ** (math.floor(math.log10(float(_spread(self.outputs).min()))) - 1)
        coarse = torch.cat([torch.tensor([unit]).double(), (self.outputs.double() / unit).round().flatten() + 0.0])
        return hashlib.sha256(coarse.numpy().tobytes()).hexdigest()[:16]

    def to_bytes(self) -> bytes:
        """Serialise as safetensors."""
        tensors = {"outputs": self.outputs, "tolerance": torch.tensor(self.tolerance, dtype=torch.float64)}
        found = {"gradient": self.gradient, "seen": self.seen}
        return save(tensors | {name: tensor for name, tensor in found.items() if tensor is not None})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Behaviour":
        """Read the result of `to_bytes`. Raises SafetensorError or KeyError for anything else."""
        stored = load(data)
        return cls(stored["outputs"], stored.get("gradient"), float(stored["tolerance"]), stored.get("seen"))


def _shown(model: Model, images: Tensor) -> Tensor:
    """Return the outputs for images, of no more at a time than there are probes."""
    return torch.cat([_told(model(some.to(model.device))) for some in images.split(len(_GRAINS))])


def _told(outputs: Tensor) -> Tensor:
    """Return the outputs to keep, on the CPU: of large maps, means over cells."""
    is_map = outputs.ndim in (3, 4) and min(outputs.shape[-2:]) > _CELLS
    return (F.adaptive_avg_pool2d(outputs, _CELLS) if is_map else outputs).cpu().contiguous()


def probes(channels: int, height: int, width: int) -> Tensor:
    """Return blurred noise of several grains, float32 (P, C, H, W) in [0, 1], the same on every machine."""
    rng = torch.Generator().manual_seed(0)
    found = []
    for grain in _GRAINS:
        size = [max(-(-side // grain), min(side, 2)) for side in (height, width)]  # a single blob is flat
        noise = torch.rand(1, channels, *size, generator=rng)
        found.append(F.interpolate(noise, (height, width), mode="bilinear", align_corners=False))
    return torch.cat(found).clamp_(0, 1)


def _gradient(outputs: Tensor, x: Tensor) -> Tensor | None:
    """Return the gradient of a weighted sum of the outputs; the plain sum of a softmax would be constant."""
    if not outputs.requires_grad:
        return None
    weights = torch.rand(outputs.shape, generator=torch.Generator().manual_seed(1)).to(outputs)
    (found,) = torch.autograd.grad((outputs * weights).sum(), x, allow_unused=True)
    return None if found is None else found.cpu().contiguous()


def _near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    return bool(((one - other).abs() <= tolerance * _spread(one)).all())


def _spread(outputs: Tensor) -> Tensor:
    """Return how far outputs (P, ...) vary, of the shape (...): the largest deviation from their mean, never 0.

    It is the same for all of them, at least 1 % of the largest one. Outputs that do not vary over the probes, as the
    -1e9 of a masked class, count by themselves, for they would hide whatever changes in the others.
    """
    values = outputs.double()
    sizes = values.abs().amax(dim=0)
    steady = (values - values.mean(dim=0)).abs().amax(dim=0) <= _STEADY * sizes
    varying = values[:, ~steady] if not steady.all() else values
    deviation = torch.maximum((varying - varying.mean()).abs().max(), 1e-2 * varying.abs().max())
    whole = deviation.clamp_min(torch.finfo(torch.float32).tiny)
    return torch.where(steady, torch.maximum(whole, sizes), whole)
