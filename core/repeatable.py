"""True float32 on a GPU, and the same numbers whenever it is asked: what PyTorch does not do there by itself.

Its convolutions round what they multiply to 10 bits (TF32), cuDNN may choose algorithms by the clock, and some sums are
taken in whatever order threads come. Processors do none of that, and are left as they are. Of the few operations that
CUDA has no other algorithm for (https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html)
sums may still differ in their last bits: they are used, for the alternative is no result.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

_CUDNN: Any = torch.backends.cudnn
_MATMUL: Any = torch.backends.cuda.matmul
_MEMORY: Any = torch.utils.deterministic
"""PyTorch makes their attributes when they are asked for."""
_UNSAID = (".* does not have a deterministic implementation", "Please use the new API settings to control TF32")
"""PyTorch's warnings of such operations, each time, which docs/machines.md names, and of a way to say what is said both
ways.
"""


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Meanwhile; what the caller's process had chosen is in force again afterwards."""
    if not _is_gpu(device):
        yield
        return
    restore = _remembered()
    with warnings.catch_warnings():
        be_repeatable(device)
        try:
            yield
        finally:
            restore()


def be_repeatable(device: str) -> None:
    """For the rest of this process."""
    if not _is_gpu(device):
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when a product is asked for first
    for message in _UNSAID:
        warnings.filterwarnings("ignore", message=message)
    torch.use_deterministic_algorithms(True, warn_only=True)
    _MEMORY.fill_uninitialized_memory = False  # of tensors that are written to next
    _CUDNN.deterministic, _CUDNN.benchmark = True, False
    _set_precision(convolutions="ieee", products="ieee")


def _is_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def _remembered() -> Callable[[], None]:
    """What brings back all that is chosen now."""
    chosen = _CUDNN.deterministic, _CUDNN.benchmark, _MEMORY.fill_uninitialized_memory
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    convolutions, products = _precision()

    def restore() -> None:
        _CUDNN.deterministic, _CUDNN.benchmark, _MEMORY.fill_uninitialized_memory = chosen
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        _set_precision(convolutions=convolutions, products=products)

    return restore


def _precision() -> tuple[str, str]:
    """Of convolutions and of products of matrices: tf32, or ieee and the like."""
    if _has_names_for_precision():
        return _CUDNN.conv.fp32_precision, _MATMUL.fp32_precision
    allowed = _CUDNN.allow_tf32, _MATMUL.allow_tf32
    return "tf32" if allowed[0] else "ieee", "tf32" if allowed[1] else "ieee"


def _set_precision(*, convolutions: str, products: str) -> None:
    """By both of PyTorch's ways to say it: it refuses to be asked by one what was said by the other alone."""
    _CUDNN.allow_tf32 = convolutions == "tf32"
    _MATMUL.allow_tf32 = products == "tf32"
    if _has_names_for_precision():
        _CUDNN.conv.fp32_precision = _CUDNN.rnn.fp32_precision = convolutions
        _MATMUL.fp32_precision = products


def _has_names_for_precision() -> bool:
    """Since PyTorch 2.9."""
    return hasattr(_CUDNN, "conv")
