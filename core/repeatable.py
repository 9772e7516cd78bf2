"""True float32 and the same numbers every time on a GPU, which PyTorch does not give by default.

By default its convolutions round what they multiply to 10 bits (TF32), cuDNN may choose algorithms by the clock, and
some sums are taken in the order in which threads finish. CPUs do none of that, and are left as they are. For a few
operations CUDA has no other algorithm
(https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html): their sums may still differ in
the last bits, and they are used, for the alternative is no result.
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
"""PyTorch creates the attributes of these modules on access."""
_UNSAID = (".* does not have a deterministic implementation", "Please use the new API settings to control TF32")
"""PyTorch's warnings to silence.

One is of operations without a deterministic algorithm, at each use; docs/machines.md names them. The other is of a new
API for TF32, though both are used.
"""


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Context manager: make a GPU's results repeatable, and restore the caller's settings afterwards."""
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
    """Make a GPU's results repeatable for the rest of this process."""
    if not _is_gpu(device):
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first product of matrices
    for message in _UNSAID:
        warnings.filterwarnings("ignore", message=message)
    torch.use_deterministic_algorithms(True, warn_only=True)
    _MEMORY.fill_uninitialized_memory = False  # tensors are written to before they are read
    _CUDNN.deterministic, _CUDNN.benchmark = True, False
    _set_precision(convolutions="ieee", products="ieee")


def _is_gpu(device: str) -> bool:
    return torch.device(device).type == "cuda"


def _remembered() -> Callable[[], None]:
    """Return a function that restores the present settings."""
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
    """Return the precisions of convolutions and of matrix products: tf32, or ieee and the like."""
    if _has_names_for_precision():
        return _CUDNN.conv.fp32_precision, _MATMUL.fp32_precision
    allowed = _CUDNN.allow_tf32, _MATMUL.allow_tf32
    return "tf32" if allowed[0] else "ieee", "tf32" if allowed[1] else "ieee"


def _set_precision(*, convolutions: str, products: str) -> None:
    """Set precisions through both of PyTorch's APIs: it refuses to read through one what only the other has set."""
    _CUDNN.allow_tf32 = convolutions == "tf32"
    _MATMUL.allow_tf32 = products == "tf32"
    if _has_names_for_precision():
        _CUDNN.conv.fp32_precision = _CUDNN.rnn.fp32_precision = convolutions
        _MATMUL.fp32_precision = products


def _has_names_for_precision() -> bool:
    """Return whether PyTorch is 2.9 or newer."""
    return hasattr(_CUDNN, "conv")
