"""Craft adversarial images once, keep them on disk, hand them out as an attacker could have stored them."""

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import cv2
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ...core.attack import Attack, CraftingData, UniversalAttack
from ...core.ensemble import attack_survivors
from ...core.errors import WeightsError
from ...core.files import write_whole
from ...core.model import Model
from ...core.perturbation import Perturbation
from ...core.seeding import Draws
from ...core.threat import Threat
from ..ledger.ledger import Costs
from .grid import digest
from .scoring import Shard


@dataclass(frozen=True, kw_only=True)
class Crafter:
    """One attack on one model.

    `key` names the job by content, so what lies under it can be used again; `stream` names its random streams. Image
    attacks keep their shards under `folder`/adversarial, universal ones their perturbation, as data and as a picture,
    under `folder`/perturbations. Without `keep_images` no shard is written, and each is crafted whenever it is asked
    for. With `before`, the attack goes on where that one failed.
    """

    model: Model
    attack: Attack | UniversalAttack
    key: str
    stream: str
    label: str
    seed: int
    storage: Literal["float32", "uint8"]
    folder: Path
    keep_images: bool = True
    before: "Crafter | None" = None

    @property
    def _path(self) -> Path:
        return self.folder / "perturbations" / f"{self.label}-{self.key}.safetensors"

    def kept(self) -> Perturbation | None:
        """The universal perturbation of an earlier run; none where its file is damaged."""
        try:
            return Perturbation.load(self._path) if self._path.exists() else None
        except WeightsError:
            return None

    def craft(self, data: CraftingData) -> tuple[Perturbation, Costs]:
        """A universal perturbation, and what it cost."""
        assert isinstance(self.attack, UniversalAttack)
        rng = Draws.of(self.seed, self.stream, samples=[0], device=self.model.device)
        with _Meter(self.model) as meter:
            checkpoint = _CheckpointFile(self._partial, self.model.device, meter)
            found = self.attack.craft(self.model, replace(data, checkpoint=checkpoint), rng=rng)
        return found, meter.costs

    @property
    def _partial(self) -> Path:
        return self._path.with_suffix(".partial")

    def keep(self, perturbation: Perturbation) -> None:
        """As data, and as a picture beside it."""
        perturbation.save(self._path)
        self._partial.unlink(missing_ok=True)
        cv2.imwrite(str(self._path.with_suffix(".png")), perturbation.picture().numpy()[:, :, ::-1])

    def images(self, shard: Shard, perturbation: Perturbation | None) -> tuple[Tensor, Costs]:
        """Adversarial images for a shard, inside the threat and [0, 1]. Raises BudgetError where the attack left it."""
        if perturbation is not None:
            stored = _stored(perturbation.apply(shard.x), shard.x, self.attack.threat, self.storage)
            return _as_images(stored), Costs()
        path = self.folder / "adversarial" / self.key / f"{digest(list(shard.samples))}.safetensors"
        kept = _read(path, shard.x) if path.exists() else None
        if kept is not None:
            return kept
        start = None if self.before is None else self.before.images(shard, None)[0]  # at the costs of that one
        with _Meter(self.model) as meter:
            found = self._attack(shard, start)
        stored = _stored(found, shard.x, self.attack.threat, self.storage)
        if self.keep_images:
            _write(path, stored, meter.costs)
        return _as_images(stored), meter.costs

    def _attack(self, shard: Shard, x_adv: Tensor | None) -> Tensor:
        """Away from the model's own prediction, that is GFR; from `x_adv` on where an attack came before."""
        assert isinstance(self.attack, Attack)
        rng = Draws.of(self.seed, self.stream, samples=shard.samples, device=shard.x.device)
        if x_adv is None:
            return self.attack(self.model, shard.x, rng=rng)
        own = self.model.judge(shard.x, rng=rng.fork("reference"))
        return attack_survivors(self.attack, self.model, shard.x, own, x_adv, rng=rng)


class _Meter:
    """Passes and wall-clock seconds between entering and leaving, and what an earlier run had spent by then."""

    def __init__(self, model: Model) -> None:
        self._passes = model.passes
        self._before = Costs()

    def __enter__(self) -> "_Meter":
        self._start = self._now()
        return self

    def __exit__(self, *exception: object) -> None:
        self.costs = self.so_far()

    def so_far(self) -> Costs:
        spent = zip(self._now(), self._start, self._before, strict=True)
        return Costs(*(now - start + before for now, start, before in spent))

    def go_on_from(self, costs: Costs) -> None:
        """What was spent until now, an earlier run had spent too, and counted."""
        self._start, self._before = self._now(), costs

    def _now(self) -> Costs:
        return Costs(self._passes.forwards, self._passes.backwards, time.perf_counter())


class _CheckpointFile:
    """A search's state as safetensors, with its costs."""

    def __init__(self, path: Path, device: torch.device, meter: _Meter) -> None:
        self._path, self._device, self._meter = path, device, meter

    def load(self) -> dict[str, Tensor]:
        if not self._path.exists():
            return {}
        try:
            with safe_open(self._path, framework="pt") as stored:
                state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError):
            return {}  # damaged: the search begins anew
        self._meter.go_on_from(Costs(*state.pop("costs").tolist()))
        return {name: tensor.to(self._device) for name, tensor in state.items()}

    def save(self, state: dict[str, Tensor]) -> None:
        costs = torch.tensor(self._meter.so_far(), dtype=torch.float64)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
        write_whole(self._path, save(tensors | {"costs": costs}))


def _stored(x_adv: Tensor, x: Tensor, threat: Threat, storage: str) -> Tensor:
    """What is kept: the images as they are, or the nearest uint8 images on the side of `x`."""
    x_adv = threat.enforce(x_adv, x)
    if storage == "float32":
        return x_adv
    levels = x_adv * 255
    towards_x = torch.where(x_adv > x, (levels + 1e-3).floor(), (levels - 1e-3).ceil())
    stored = towards_x.clamp(0, 255).to(torch.uint8)
    threat.check(_as_images(stored), x)  # an x between the levels may leave no level within a tiny budget
    return stored


def _as_images(stored: Tensor) -> Tensor:
    return stored.float() / 255 if stored.dtype == torch.uint8 else stored


def _write(path: Path, stored: Tensor, costs: Costs) -> None:
    stored = stored.cpu().contiguous()
    tensors = {"x_adv": stored, "costs": torch.tensor(costs, dtype=torch.float64)}
    write_whole(path, save(tensors, metadata={"sha256": _hash(stored)}))


def _read(path: Path, x: Tensor) -> tuple[Tensor, Costs] | None:
    """Kept adversarial images for `x`; none where the file is damaged, or of other images."""
    try:
        with safe_open(path, framework="pt") as file:
            stored, costs = file.get_tensor("x_adv"), Costs(*file.get_tensor("costs").tolist())
            expected = (file.metadata() or {}).get("sha256")
    except (SafetensorError, OSError):
        return None
    if _hash(stored) != expected or stored.shape != x.shape:
        return None
    return _as_images(stored.to(x.device)), costs


def _hash(stored: Tensor) -> str:
    return hashlib.sha256(stored.numpy().tobytes()).hexdigest()
