"""Train a small classifier from scratch on the CPU: reproducible by its seed, resumable after every epoch."""

import hashlib
import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import WeightsError
from ..core.files import write_whole

_DIGEST = 32
"""Bytes of SHA-256 before what torch has saved."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """AdamW with warm-up and cosine decay, gradient clipping, and label-preserving augmentation.

    `learning_rate` is the peak; `shift` is the largest translation in pixels; `flip` and `permute_channels` switch
    horizontal mirroring and random permutation of the colour channels. `bfloat16` rounds the factors of convolutions
    and matrix products to it where the processor multiplies it natively, two to three times as fast.

    `label_grid` says that labels number the cells of a grid, as (10, 5) does where label // 5 is a solid and label % 5
    its material: what the network says of each row and of each column is trained as well, without which plain networks
    find no way into fifty classes.

    `eps` > 0 trains on adversarial images within that Linf distance of pixels in [0, 1], each made by one step from a
    random start (Wong, Rice and Kolter 2020, https://arxiv.org/abs/2001.03994).

    `begins_as` names a trained network whose layers this one has; convolutions that it has more begin by passing on
    what they get (Chen, Goodfellow and Shlens 2016, https://arxiv.org/abs/1511.05641).
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    shift: int = 4
    flip: bool = True
    permute_channels: bool = True
    label_grid: tuple[int, int] | None = None
    bfloat16: bool = False
    eps: float = 0.0
    begins_as: str | None = None
    seed: int = 0


def fit(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    training: Training,
    *,
    normalize: Callable[[Tensor], Tensor],
    beginning: Mapping[str, Tensor] | None = None,
    checkpoint: Path | None = None,
    on_batch: Callable[[int, int, float], None] = lambda epoch, batch, loss: None,
) -> None:
    """Train `net` in place on uint8 images (N, C, H, W) and int64 labels (N,); leave it in eval mode.

    `beginning` is the state of the network that it begins as.

    `checkpoint` is rewritten after every epoch and, where it exists, continued from: the result is the same as without
    the break. `on_batch` is told the epoch and the batch, both counted from 0, and its mean loss.
    """
    optimizer = torch.optim.AdamW(net.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    start = _resume(checkpoint, net, optimizer, training)
    if start == 0:
        torch.manual_seed(training.seed)
        _unit_variance_init(net, normalize(images[:256].float() / 255))
        if beginning is not None:
            _begin_as(net, beginning)
    net.to(memory_format=torch.channels_last)  # twice as fast for the narrow first layers on a CPU
    rounded = training.bfloat16 and _multiplies_bfloat16()
    steps = math.ceil(len(images) / training.batch_size)
    for epoch in range(start, training.epochs):
        net.train()
        torch.manual_seed(training.seed * 1000 + epoch + 1)  # dropout
        rng = torch.Generator().manual_seed(training.seed * 1000 + epoch + 1)
        for step, rows in enumerate(torch.randperm(len(images), generator=rng).split(training.batch_size)):
            progress = (epoch * steps + step) / (training.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * _schedule(progress)
            batch = _augment(images[rows].float() / 255, training, rng)

            def loss_of(x: Tensor, y: Tensor = labels[rows]) -> Tensor:
                with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
                    outputs = net(normalize(x).contiguous(memory_format=torch.channels_last))
                return _cross_entropy(outputs.float(), y, training.label_grid)

            if training.eps:
                batch = _attacked(loss_of, batch, training.eps, rng)
            loss = loss_of(batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            on_batch(epoch, step, loss.item())
        if checkpoint:
            _save(checkpoint, net, optimizer, training, epoch + 1)
    net.eval()
    net.to(memory_format=torch.contiguous_format)


def _multiplies_bfloat16() -> bool:
    """Where it is emulated, it takes ten times as long as float32."""
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _cross_entropy(outputs: Tensor, y: Tensor, grid: tuple[int, int] | None) -> Tensor:
    loss = F.cross_entropy(outputs, y)
    if grid is None:
        return loss
    cells = outputs.log_softmax(dim=1).unflatten(1, grid)
    rows, columns = cells.logsumexp(dim=2), cells.logsumexp(dim=1)
    return loss + F.nll_loss(rows, y // grid[1]) + F.nll_loss(columns, y % grid[1])


def _attacked(loss_of: Callable[[Tensor], Tensor], x: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    """One step of 1.25 eps from a random start: shorter ones teach less, longer ones teach to mask the gradient."""
    start = (x + eps * (2 * torch.rand(x.shape, generator=rng) - 1)).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(start), start)
    return (start.detach() + 1.25 * eps * gradient.sign()).clamp(x - eps, x + eps).clamp(0, 1)


def _schedule(progress: float, warm_up: float = 0.05) -> float:
    if progress < warm_up:
        return progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


def _augment(x: Tensor, training: Training, rng: torch.Generator) -> Tensor:
    n, channels, height, width = x.shape
    if training.flip:
        mirrored = torch.rand(n, generator=rng) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
    if training.permute_channels:
        order = torch.rand(n, channels, generator=rng).argsort(dim=1)
        x = x.gather(1, order[:, :, None, None].expand_as(x))
    if training.shift:
        s = training.shift
        rows, columns = torch.randint(0, 2 * s + 1, (2, n), generator=rng)
        padded = F.pad(x, (s, s, s, s), mode="replicate")
        i = (rows[:, None] + torch.arange(height))[:, None, :, None]
        j = (columns[:, None] + torch.arange(width))[:, None, None, :]
        x = padded[torch.arange(n)[:, None, None, None], torch.arange(channels)[None, :, None, None], i, j]
    return x


@torch.no_grad()
def _unit_variance_init(net: nn.Module, x: Tensor) -> None:
    """Orthogonal weights, scaled layer by layer to outputs of unit variance on `x` (https://arxiv.org/abs/1511.06422).

    It is what lets networks of 19 layers without batch norm learn from the first step. Layers that batch norm follows
    are scaled too, which changes nothing.
    """

    def rescale(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        spread = output.std()
        layer.weight.div_(spread)  # pyright: ignore[reportCallIssue] (convolutions and linear layers have weights)
        return output / spread

    net.eval()
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    handles = [layer.register_forward_hook(rescale) for layer in layers]
    net(x)
    for handle in handles:
        handle.remove()


def _begin_as(net: nn.Module, trained: Mapping[str, Tensor]) -> None:
    """Compute what the trained network does: behind a ReLU, an identity among the convolutions changes nothing."""
    for name, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d) and f"{name}.weight" not in trained:
            nn.init.dirac_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    net.load_state_dict(trained, strict=False)


def _save(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, training: Training, epochs: int) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "training": _identity(net, training),
        "epochs": epochs,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_whole(path, hashlib.sha256(content).digest() + content)


def _identity(net: nn.Module, training: Training) -> str:
    return f"{training!r} of {net}"


def _resume(path: Path | None, net: nn.Module, optimizer: torch.optim.Optimizer, training: Training) -> int:
    """Number of finished epochs, with `net` and `optimizer` as they were then; 0 where there is nothing to continue."""
    if path is None or not path.exists():
        return 0
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The checkpoint {path} cannot be read: {error.strerror}; move it away.") from None
    known, content = whole[:_DIGEST], whole[_DIGEST:]
    if hashlib.sha256(content).digest() != known:  # asked before anything is unpickled
        raise WeightsError(
            f"Expected a checkpoint of foolbench at {path}, got a damaged or another file; delete it to start afresh."
        )
    state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    if state["training"] != _identity(net, training):
        return 0  # another configuration: start afresh
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epochs"]
