"""Check that a network is a deterministic function of each image alone, and that a forward pass does not change it.

A network that is not would make every attack look broken, or strong. So it is checked first, and the error names the
layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError, InputError, foreign_errors
from ...core.guard import Guard, equal
from ...core.model import Model
from ...core.network import tensors_in

_AGAIN = 1e-5
"""The largest difference, relative to the largest output, between two forward passes of the same images."""


def batch_tolerance(model: Model) -> float:
    """Return the largest relative difference between outputs of one image in batches of different sizes.

    Different kernels are chosen for each size, and dynamic quantisation takes its levels from the whole batch.
    """
    rough = model.precision in (torch.float16, torch.bfloat16)
    quantized = any(tensor.is_quantized for _, tensor in tensors_in(model.net.state_dict().items()))
    return 0.1 if rough or quantized else 3e-3


def check_steady(model: Model, x: Tensor) -> None:
    """Raise ConfigError for a network that changes itself, is random, or mixes the images `x` of a batch.

    Raises InputError for outputs that are invalid for the task, such as NaN.
    """
    try:
        check_unchanged(model, x)
        check_repeated(model, x)
        check_alone(model, x)
    except InputError as error:
        raise InputError(f"{model.name} cannot be judged: {error}") from None


def check_unchanged(model: Model, x: Tensor) -> None:
    """Raise ConfigError if a forward pass changes the network, which is restored."""
    guard, before = Guard(model), {name: tensor.clone() for name, tensor in _held(model.net).items()}
    with torch.no_grad():
        model(x)
    now = _held(model.net)
    changed = [name for name, tensor in before.items() if name not in now or not equal(now[name], tensor)]
    training = [name for name, module in model.net.named_modules() if module.training]
    if guard.undo() or changed:
        owner = changed[0].rpartition(".")[0] if changed else next(iter(training), "")
        mode = ", which is in training mode" if owner in training else ""
        what = changed[0].rpartition(".")[2] if changed else "what it consists of"
        raise ConfigError(
            f"{model.name} changes itself when it looks at images: {what} of {_described(model.net, owner)}{mode}; a "
            "network that is judged stays as it is."
        )


def check_repeated(model: Model, x: Tensor) -> None:
    """Raise ConfigError if two forward passes of the same images give different outputs."""
    what = "when it is asked again"
    _same(_outputs(model, x), _outputs(model, x), model, what, "draw no random numbers, keep nothing", _AGAIN)


def check_alone(model: Model, x: Tensor) -> None:
    """Raise ConfigError if the output for an image depends on the others in its batch, or if it needs others."""
    together = _outputs(model, x)
    try:
        alone = _outputs(model, x[:1])
    except foreign_errors() as error:  # any error of the network's own code
        raise ConfigError(f"{model.name} takes {len(x)} images, but not one alone: {error}") from None
    of_one = {name: outputs[:1] for name, outputs in together.items()}
    what = "when an image shares its batch with other images"
    _same(of_one, alone, model, what, "normalise by fixed statistics", batch_tolerance(model))


def _held(net: nn.Module) -> dict[str, Tensor]:
    return dict((*net.named_parameters(), *net.named_buffers()))


def _same(
    first: dict[str, Tensor], second: dict[str, Tensor], model: Model, when: str, advice: str, tolerance: float
) -> None:
    """Raise ConfigError if the model's outputs differ, and name the first layer whose outputs do."""
    differing = [name for name in first if name in second and not _near(first[name], second[name], tolerance)]
    if "" in differing:
        begins = _described(model.net, differing[0])
        raise ConfigError(f"{model.name} answers otherwise {when}; this begins in {begins}: {advice}.")


def _near(one: Tensor, other: Tensor, tolerance: float) -> bool:
    if one.shape != other.shape:
        return True  # a layer whose first dimension is not the batch
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance * float(one.abs().max()))


def _outputs(model: Model, x: Tensor) -> dict[str, Tensor]:
    """Return the output of each layer by name, in the order of execution, then that of the model under ""."""
    found: dict[str, Tensor] = {}
    script = isinstance(model.net, torch.jit.ScriptModule)  # which takes no hooks
    layers = [] if script else [(name, module) for name, module in model.net.named_modules() if name]
    handles = [module.register_forward_hook(_keeper(found, name)) for name, module in layers]
    try:
        with torch.no_grad():
            answers = model(x)
    finally:
        for handle in handles:
            handle.remove()
    return found | {"": answers}


def _keeper(found: dict[str, Tensor], name: str) -> Callable[[nn.Module, Any, Any], None]:
    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            found.setdefault(name, output.detach().clone())

    return keep


def _described(net: nn.Module, name: str) -> str:
    kind = type(dict(net.named_modules())[name]).__name__
    return f"layer {name} ({kind})" if name else kind
