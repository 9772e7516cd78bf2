"""Load weights files from untrusted sources: tensors are read, code in a file is never run."""

import pickle
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from ...core.errors import WeightsError
from ...core.files import is_file

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")


def is_weights_file(weights: str) -> bool:
    return Path(weights).suffix in SUFFIXES or is_file(Path(weights))


def fill(net: nn.Module, path: Path, unused: Sequence[str] = ()) -> None:
    """Load a weights file into `net`; raises WeightsError if it is missing, cannot be read or does not fit.

    The state dict may be nested in a checkpoint, and its keys may share a prefix, such as DataParallel's `module.`.
    Keys that start with one of `unused` after that prefix are ignored.
    """
    document = _read(path)
    candidates = list(_state_dicts(document))
    if not candidates:
        raise WeightsError(f"Expected a state dict in {path}, found no named tensors; save net.state_dict().")
    fitting = [found for one in candidates if (found := _fitting(net, one, unused)) is not None]
    try:
        net.load_state_dict(fitting[0] if fitting else candidates[0])
    except RuntimeError as error:
        first = " ".join(str(error).splitlines()[1].split()).rstrip(".")
        raise WeightsError(
            f"The weights in {path} are of another network than {type(net).__name__}: {_shortened(first)}; one of "
            "other classes is made by classes = N."
        ) from None


def _shortened(complaint: str) -> str:
    """Keep the first three of the names that torch lists."""
    names = complaint.split('", ')
    return complaint if len(names) <= 3 else '", '.join(names[:3]) + f'" and {len(names) - 3} more'


def _read(path: Path) -> Any:
    if not is_file(path):
        raise WeightsError(f"Expected weights at {path}, found no file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle formats: those are refused or read anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, LookupError, ValueError) as error:
        raise WeightsError(_why_not_read(path, error)) from None


def _why_not_read(path: Path, error: Exception) -> str:
    """Return why a file cannot be read, without torch's advice to run the code in it."""
    with path.open("rb") as file:
        is_pickle = file.read(1) == pickle.PROTO
    refused = isinstance(error, pickle.UnpicklingError) and (is_pickle or zipfile.is_zipfile(path))
    if refused or "TorchScript" in str(error):
        return (
            f"{path} holds more than tensors, and reading it would run code of whoever made it: where you trust it, "
            "save its weights alone with torch.save(net.state_dict(), FILE) or as safetensors."
        )
    foreign = isinstance(error, pickle.UnpicklingError | LookupError | EOFError)  # messages about bytes
    reason = "it is no checkpoint of torch" if foreign else _first_sentence(error)
    return f"Expected a file of weights at {path}, but it cannot be read: {reason}."


def _first_sentence(error: Exception) -> str:
    return str(error).splitlines()[0].partition(". ")[0].rstrip(".") if str(error) else type(error).__name__


def _state_dicts(document: Any) -> Iterator[dict[str, Tensor]]:
    """Yield all mappings from names to tensors in a checkpoint, outermost first."""
    if not isinstance(document, Mapping):
        return
    tensors = {str(key): value for key, value in document.items() if isinstance(value, Tensor)}
    if tensors:
        yield tensors
    for value in document.values():
        yield from _state_dicts(value)


def _fitting(net: nn.Module, state: dict[str, Tensor], unused: Sequence[str]) -> dict[str, Tensor] | None:
    """Return the part of a state dict whose keys are the network's, without prefix, or None if there is none."""
    expected = set(net.state_dict())
    needed = {key for key in expected if not key.endswith("num_batches_tracked")}  # old files lack it
    probe = min(needed, default="")
    for prefix in sorted({key.removesuffix(probe) for key in state if key.endswith(probe)}, key=len):
        below = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        own = {key: value for key, value in below.items() if not key.startswith(tuple(unused))}
        if needed <= set(own) <= expected:
            return own
    return None
