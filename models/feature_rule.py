"""Choose the layers that GD-UAP and FFF disturb, by one rule for any network.

- Transformers and similar networks: the activation inside each MLP. Outputs of a layer norm have a fixed norm, and the
  residual stream grows with depth.
- Inception and residual networks: the output of each block, and the convolutions before the first block.
- Plain networks: each convolution; in a VGG, whose convolutions are all 3 x 3, also the hidden fully connected layers.
- Networks without a convolution: the hidden fully connected layers.
- TorchScript, whose modules cannot be inspected: none.

A convolution's features are those after its activation, if a module outputs them. The first convolutions of a network
with blocks are taken before a batch norm that follows them. Both, and the layers of VGG, follow the code of the GD-UAP
paper.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

Node = Any
"""Node of autograd's graph, the `grad_fn` of a tensor."""

_ACTIVATION = re.compile(r"(Relu|Gelu|Silu|Elu|Hardtanh|Hardswish|Mish|Softplus|Tanh|Sigmoid|Clamp)\w*Backward")
_LAYOUT = re.compile(r"(View|Transpose|Permute|Clone|Reshape|Unsafe|Contiguous|Dropout)\w*Backward")
_JOIN = re.compile(r"(Add|Cat)Backward")


@dataclass(frozen=True)
class _Call:
    """One call of a module, with the autograd nodes of its input and output; calls are ordered by their end."""

    name: str
    module: nn.Module
    before: Node
    after: Node
    dimensions: int

    @property
    def is_leaf(self) -> bool:
        return not any(True for _ in self.module.children())

    @property
    def is_activation(self) -> bool:
        return self.is_leaf and not any(True for _ in self.module.parameters()) and self.activates

    @property
    def activates(self) -> bool:
        """Whether the last operation in the module is an activation."""
        return self.after is not self.before and bool(_ACTIVATION.match(_name(self.after)))

    def holds(self, other: "_Call") -> bool:
        return other.name.startswith(f"{self.name}.")


def feature_layers(net: nn.Module, x: Tensor) -> tuple[str, ...]:
    """Return the names of the chosen submodules, in the order in which they are called.

    `x` is a batch of inputs that the network accepts.
    """
    if any(isinstance(part, torch.jit.ScriptModule) for part in net.modules()):
        return ()
    calls = _calls(net, x)
    mlps = _mlp_activations(calls)
    blocks = [block for block in _blocks(calls) if not any(block.holds(one) for one in mlps)]
    if mlps:
        chosen = {id(call) for call in (*mlps, *blocks)}
        return _names(call for call in calls if id(call) in chosen)
    if blocks:
        outside = [call for call in calls[: calls.index(blocks[0])] if not blocks[0].holds(call)]
        stem = [_activated(one, outside, through_norm=False) for one in outside if isinstance(one.module, _ConvNd)]
        return _names([*stem, *blocks])
    convolutions = [call for call in calls if isinstance(call.module, _ConvNd)]
    hidden = [call for call in calls if isinstance(call.module, nn.Linear)][:-1]
    is_vgg = all(one.module.kernel_size == (3, 3) for one in convolutions)
    chosen = [*convolutions, *(hidden if is_vgg else [])]  # also true without any convolution
    return _names(_activated(one, calls, through_norm=True) for one in chosen)


def _calls(net: nn.Module, x: Tensor) -> list[_Call]:
    found: list[_Call] = []
    entered: list[Node] = []  # input nodes of the running modules, kept because in-place modules change their input

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        first = inputs[0] if inputs else None
        entered.append(first.grad_fn if isinstance(first, Tensor) else None)

    def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        before = entered.pop()
        if isinstance(output, Tensor) and names[module]:
            found.append(_Call(names[module], module, before, output.grad_fn, output.ndim))

    names = {module: name for name, module in net.named_modules()}
    handles = [module.register_forward_pre_hook(enter) for module in names]
    handles += [module.register_forward_hook(leave) for module in names]
    try:
        with _frozen(net), torch.enable_grad():
            net(x.detach().requires_grad_().clone())  # in-place modules reject a leaf
    finally:
        for handle in handles:
            handle.remove()
    return found


@contextmanager
def _frozen(net: nn.Module) -> Iterator[None]:
    """Freeze all parameters, so that autograd's graph contains only what depends on the image."""
    learning = [parameter for parameter in net.parameters() if parameter.requires_grad]
    try:
        for parameter in learning:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _mlp_activations(calls: list[_Call]) -> list[_Call]:
    """Return the activations of tokens or channels-last maps that follow a linear layer."""
    linear = {call.after for call in calls if isinstance(call.module, nn.Linear)}
    return [call for call in calls if call.dimensions > 2 and _is_mlp_activation(call, linear)]


def _is_mlp_activation(call: _Call, linear: set[Node]) -> bool:
    named = call.is_leaf and "gelu" in type(call.module).__name__.lower()  # some are composed of several operations
    return call.before in linear and (named or call.is_activation)


def _blocks(calls: list[_Call]) -> list[_Call]:
    """Return the innermost modules that end in a join of paths, and all others of the same classes.

    Some blocks of a class have a single path.
    """
    weighted = {call.after for call in calls if call.is_leaf and any(True for _ in call.module.parameters())}
    seen: set[Node] = set(weighted)  # no joins: a bias may be added by an addition
    classes: set[type] = set()
    joined: set[str] = set()
    for call in calls:
        end = _core(call.after)
        if not call.is_leaf and end not in seen and end is not _core(call.before) and _joins(end):
            seen.add(end)
            joined.add(call.name)
            classes.add(type(call.module))
    classes -= {nn.Sequential}
    return [call for call in calls if call.name in joined or type(call.module) in classes]


def _joins(node: Node) -> bool:
    paths = [path for path, _ in node.next_functions if path is not None] if _JOIN.match(_name(node)) else []
    return len(paths) > 1


def _core(node: Node) -> Node:
    """Return the node before any final activations and changes of layout."""
    while node is not None and (_ACTIVATION.match(_name(node)) or _LAYOUT.match(_name(node))):
        node = node.next_functions[0][0]
    return node


def _activated(call: _Call, calls: list[_Call], *, through_norm: bool) -> _Call:
    """Return the call that outputs the layer's features after its activation, or the layer's call if there is none."""
    ends = {call.after}
    if through_norm:
        ends |= {one.after for one in calls if isinstance(one.module, _BatchNorm) and one.before is call.after}
    once = [one for one in calls if sum(other.module is one.module for other in calls) == 1]
    for one in once:
        if one.is_activation and one.before in ends:
            return one
    own = [one for one in once if one.activates and one.holds(call) and _layers(one.module) == 1]
    return own[0] if own else call


def _layers(module: nn.Module) -> int:
    return sum(isinstance(part, _ConvNd | nn.Linear) for part in module.modules())


def _name(node: Node) -> str:
    return "" if node is None else node.name()


def _names(calls: Iterable[_Call]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(call.name for call in calls))
