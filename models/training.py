"""Train a small network in place, reproducibly by its seed, resumable after every epoch."""

import hashlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import WeightsError
from ..core.files import write_whole, writing

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps (outputs, labels) to the mean loss over a batch."""
_DIGEST = 32
"""Length of the SHA-256 hash in bytes, which precedes the saved state in a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training configuration: AdamW with warm-up and cosine decay, gradient clipping, and augmentation.

    Augmentation preserves labels and moves target maps along with images. `learning_rate` is the peak; `shift` is the
    largest translation in pixels; `flip` and `permute_channels` switch on horizontal mirroring and random permutation
    of the colour channels. `bfloat16` uses that precision for convolutions and matrix products where the device
    supports it natively, which is two to three times as fast.

    `label_grid` says that labels number the cells of a grid, as (6, 5) does if label // 5 is a solid and label % 5 its
    material: the summed probabilities of each row and column are trained as well. Without it, plain networks do not
    learn many such classes.

    `blur` and `noise` are the largest standard deviations, in pixels and in units of [0, 1], of a Gaussian blur and of
    Gaussian noise added after it; each image draws its own. Without them a network may rely on details that every
    training image shows sharply, so that smoothing defenses look worse than they are.

    `eps` > 0 trains on adversarial images within that Linf distance, for pixels in [0, 1], made by one step from a
    random start (Wong, Rice and Kolter 2020, https://arxiv.org/abs/2001.03994).

    `begins_as` names a trained network whose layers are copied where name and shape agree. Additional convolutions with
    as many inputs as outputs start as the identity (Chen, Goodfellow and Shlens 2016,
    https://arxiv.org/abs/1511.05641), other layers as usual.
    """

    epochs: int
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    shift: int = 4
    flip: bool = True
    permute_channels: bool = True
    blur: float = 0.0
    noise: float = 0.0
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
    loss: Loss = F.cross_entropy,
    beginning: Mapping[str, Tensor] | None = None,
    checkpoint: Path | None = None,
    on_batch: Callable[[int, int, Tensor], None] = lambda epoch, batch, loss: None,
) -> None:
    """Train `net` in place on uint8 images (N, C, H, W) and int64 labels (N,), and leave it in eval mode.

    Training runs on the device of `net`, whose memory must hold all images; a GPU draws other random numbers than the
    CPU. With a suitable `loss`, labels may also be maps (N, H, W). `beginning` is the state dict of the network that
    `training.begins_as` names.

    `checkpoint` is rewritten after every epoch; an existing one is resumed, with the same result as an uninterrupted
    run. Raises WeightsError if it is damaged. `on_batch` is called with epoch and batch, both counted from 0, and the
    mean loss as a tensor: reading its value waits for the device.
    """
    device = next(net.parameters()).device
    optimizer = torch.optim.AdamW(net.parameters(), training.learning_rate, weight_decay=training.weight_decay)
    identity = "" if checkpoint is None else _identity(net, training, images, labels, beginning or {})
    start = _resume(checkpoint, net, optimizer, identity)
    images, labels = images.to(device), labels.to(device)
    if start == 0:
        torch.manual_seed(training.seed)
        some = normalize(images[:256].float() / 255)
        _unit_variance_init(net, some, _layers(net))
        if beginning is not None:
            _unit_variance_init(net, some, _begin_as(net, beginning))
    net.to(memory_format=torch.channels_last)  # twice as fast for the narrow first layers on a CPU
    rounded = training.bfloat16 and _multiplies_bfloat16(device)
    steps = math.ceil(len(images) / training.batch_size)
    for epoch in range(start, training.epochs):
        net.train()
        torch.manual_seed(training.seed * 1000 + epoch + 1)  # dropout
        rng = torch.Generator(device).manual_seed(training.seed * 1000 + epoch + 1)
        order = torch.randperm(len(images), generator=rng, device=device)
        for step, rows in enumerate(order.split(training.batch_size)):
            progress = (epoch * steps + step) / (training.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = training.learning_rate * _schedule(progress)
            with device:  # random numbers are drawn there
                batch, targets = _augment(images[rows].float() / 255, labels[rows], training, rng)

            def loss_of(x: Tensor, y: Tensor = targets) -> Tensor:
                with torch.autocast(device.type, torch.bfloat16, enabled=rounded):
                    outputs = net(normalize(x).contiguous(memory_format=torch.channels_last)).float()
                return loss(outputs, y) if training.label_grid is None else _of_grid(outputs, y, training.label_grid)

            if training.eps:
                batch = _attacked(loss_of, batch, training.eps, rng)
            mean_loss = loss_of(batch)
            optimizer.zero_grad()
            mean_loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            optimizer.step()
            on_batch(epoch, step, mean_loss.detach())
        if checkpoint:
            _save(checkpoint, net, optimizer, identity, epoch + 1)
    net.eval()
    net.to(memory_format=torch.contiguous_format)


def _multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies bfloat16 natively: emulated, it takes ten times as long as float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _of_grid(outputs: Tensor, y: Tensor, grid: tuple[int, int]) -> Tensor:
    loss = F.cross_entropy(outputs, y)
    cells = outputs.log_softmax(dim=1).unflatten(1, grid)
    rows, columns = cells.logsumexp(dim=2), cells.logsumexp(dim=1)
    return loss + F.nll_loss(rows, y // grid[1]) + F.nll_loss(columns, y % grid[1])


def _attacked(loss_of: Callable[[Tensor], Tensor], x: Tensor, eps: float, rng: torch.Generator) -> Tensor:
    """Attack in one step of 1.25 eps from a random start: shorter ones teach less, longer ones to mask gradients."""
    noise = 2 * torch.rand(x.shape, generator=rng, device=x.device) - 1
    start = (x + eps * noise).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(loss_of(start), start)
    return (start.detach() + 1.25 * eps * gradient.sign()).clamp(x - eps, x + eps).clamp(0, 1)


def _schedule(progress: float, warm_up: float = 0.05) -> float:
    if progress < warm_up:
        return progress / warm_up
    return 0.5 + 0.5 * math.cos(math.pi * (progress - warm_up) / (1 - warm_up))


def _augment(x: Tensor, y: Tensor, training: Training, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augment images and labels; maps are moved along with their images."""
    n, channels, height, width = x.shape
    maps = y.ndim == 3
    if training.flip:
        mirrored = torch.rand(n, generator=rng) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(3), x)
        y = torch.where(mirrored[:, None, None], y.flip(2), y) if maps else y
    if training.permute_channels:
        order = torch.rand(n, channels, generator=rng).argsort(dim=1)
        x = x.gather(1, order[:, :, None, None].expand_as(x))
    if training.shift:
        s = training.shift
        rows, columns = torch.randint(0, 2 * s + 1, (2, n), generator=rng)
        i = (rows[:, None] + torch.arange(-s, height - s)).clamp(0, height - 1)[:, :, None]  # the edge is repeated
        j = (columns[:, None] + torch.arange(-s, width - s)).clamp(0, width - 1)[:, None, :]
        image = torch.arange(n)[:, None, None]
        x = x[image[:, None], torch.arange(channels)[None, :, None, None], i[:, None], j[:, None]]
        y = y[image, i, j] if maps else y
    if training.blur:
        x = _blurred(x, training.blur * torch.rand(n, generator=rng), math.ceil(3 * training.blur))
    if training.noise:
        deviations = training.noise * torch.rand(n, 1, 1, 1, generator=rng)
        x = (x + deviations * torch.randn(x.shape, generator=rng)).clamp(0, 1)
    return x, y


def _blurred(x: Tensor, deviations: Tensor, reach: int) -> Tensor:
    """Blur each image by a Gaussian with its own standard deviation in pixels, cut off beyond `reach` pixels."""
    n, channels = x.shape[:2]
    offsets = torch.arange(-reach, reach + 1)
    exponents = -0.5 * (offsets / deviations.clamp(min=1e-2)[:, None]) ** 2
    weights = exponents.softmax(dim=1).repeat_interleave(channels, dim=0)
    planes = F.pad(x, (reach, reach, reach, reach), mode="replicate").flatten(0, 1)[None]
    planes = F.conv2d(planes, weights[:, None, :, None], groups=n * channels)
    return F.conv2d(planes, weights[:, None, None, :], groups=n * channels)[0].unflatten(0, (n, channels))


@torch.no_grad()
def _unit_variance_init(net: nn.Module, x: Tensor, layers: Sequence[nn.Conv2d | nn.Linear]) -> None:
    """Initialise layers with orthogonal weights, scaled in turn to unit variance on `x` (https://arxiv.org/abs/1511.06422).

    This lets networks of 19 layers without batch norm learn from the first step. Layers followed by batch norm are
    scaled too, which changes nothing.
    """

    def rescale(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        spread = output.std()
        layer.weight.div_(spread)  # pyright: ignore[reportCallIssue] (convolutions and linear layers have weights)
        return output / spread

    if not layers:
        return
    net.eval()
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    handles = [layer.register_forward_hook(rescale) for layer in layers]
    net(x)
    for handle in handles:
        handle.remove()


def _layers(net: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


def _begin_as(net: nn.Module, trained: Mapping[str, Tensor]) -> list[nn.Conv2d | nn.Linear]:
    """Copy matching layers of the trained network, and return those that are neither copied nor set to the identity.

    Behind a ReLU, an identity convolution followed by another ReLU changes nothing.
    """
    own = net.state_dict()
    taken = {name: value for name, value in trained.items() if name in own and own[name].shape == value.shape}
    net.load_state_dict(taken, strict=False)
    other: list[nn.Conv2d | nn.Linear] = []
    for name, layer in net.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear) or f"{name}.weight" in taken:
            continue
        if isinstance(layer, nn.Conv2d) and layer.in_channels == layer.out_channels and layer.groups == 1:
            nn.init.dirac_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        else:
            other.append(layer)
    return other


def _save(path: Path, net: nn.Module, optimizer: torch.optim.Optimizer, identity: str, epochs: int) -> None:
    state = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "training": identity,
        "epochs": epochs,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    with writing(path):
        write_whole(path, hashlib.sha256(content).digest() + content)


def _identity(
    net: nn.Module, training: Training, images: Tensor, labels: Tensor, beginning: Mapping[str, Tensor]
) -> str:
    """Return a string that identifies everything that determines the result of training."""
    hashed = hashlib.sha256()
    for name, tensor in {"images": images, "labels": labels, **beginning}.items():
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hashed.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{training!r} of {net} from {hashed.hexdigest()}"


def _resume(path: Path | None, net: nn.Module, optimizer: torch.optim.Optimizer, identity: str) -> int:
    """Restore `net` and `optimizer`, and return the number of finished epochs, 0 if there is nothing to resume."""
    if path is None or not path.exists():
        return 0
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"The checkpoint {path} cannot be read: {error.strerror}; move it away.") from None
    known, content = whole[:_DIGEST], whole[_DIGEST:]
    if hashlib.sha256(content).digest() != known:  # checked before unpickling
        raise WeightsError(
            f"Expected a checkpoint of foolbench at {path}, got a damaged or another file; delete it to start afresh."
        )
    state: dict[str, Any] = torch.load(
        io.BytesIO(content), map_location=next(net.parameters()).device, weights_only=True
    )
    if state["training"] != identity:
        return 0  # another configuration, or other images: start afresh
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    return state["epochs"]
