"""What a run chooses of PyTorch for a GPU, and that the caller's process has its own choices again afterwards."""

import warnings

import pytest
import torch
from foolbench.core.repeatable import repeatable
from torch.backends import cuda, cudnn

NEW = hasattr(cudnn, "conv")


def choices():
    """In the words of either way to say it, which must both be allowed."""
    names = (cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, cuda.matmul.fp32_precision) if NEW else ()
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory = torch.utils.deterministic.fill_uninitialized_memory
    return cudnn.allow_tf32, cuda.matmul.allow_tf32, *names, *algorithms, memory, cudnn.deterministic, cudnn.benchmark


@pytest.fixture(autouse=True)
def own_choices():
    cudnn.allow_tf32, cuda.matmul.allow_tf32 = True, False  # as they are when a process begins
    yield
    cudnn.allow_tf32, cuda.matmul.allow_tf32, cudnn.benchmark = True, False, False
    torch.use_deterministic_algorithms(False)


def choose_nothing():
    pass


def choose_speed():
    cudnn.benchmark = cuda.matmul.allow_tf32 = True
    torch.set_float32_matmul_precision("high")


def choose_by_new_names():
    if NEW:
        cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
        cudnn.allow_tf32 = False


def choose_determinism():
    torch.use_deterministic_algorithms(True)


def _fail_unless(exact):
    assert exact
    raise ZeroDivisionError


@pytest.mark.parametrize(
    "choose", [choose_nothing, choose_speed, choose_by_new_names, choose_determinism], ids=lambda one: one.__name__
)
def test_it_is_exact_meanwhile_and_as_before_afterwards(choose, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    choose()
    before, filters = choices(), list(warnings.filters)
    exact = (False, False, *["ieee"] * 3 * NEW, True, True, False, True, False)
    with pytest.raises(ZeroDivisionError), repeatable("cuda:0"):
        _fail_unless(choices() == exact)
    assert choices() == before
    assert warnings.filters == filters


def test_a_precision_that_is_set_for_all_is_none_of_a_run(monkeypatch):
    """Which sets aside what the older words say of convolutions alone."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    if not NEW:
        pytest.skip("this PyTorch has no such choice")
    monkeypatch.setattr(torch.backends, "fp32_precision", "tf32")
    with repeatable("cuda"):
        assert cudnn.conv.fp32_precision == cuda.matmul.fp32_precision == "ieee"


def test_operations_without_a_repeatable_algorithm_are_used_in_silence(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    said = "grid_sampler_2d_backward_cuda does not have a deterministic implementation, but you set ..."
    with repeatable("cuda"):
        warnings.warn(said, UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="grid_sampler"):
        warnings.warn(said, UserWarning, stacklevel=1)


def test_a_processor_is_left_as_it_is():
    before = choices()
    with repeatable("cpu"):
        assert choices() == before
