"""Memory that is kept for the next batch, against glibc's own ways."""

import ctypes
import platform

import pytest
import torch
from foolbench.evaluation.engine.memory.heap import keep_freed_memory
from torchvision.models import resnet18


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="this C library is not glibc")
def test_a_pass_over_images_of_224(ratio):
    net, x = resnet18(weights=None).eval(), torch.rand(64, 3, 224, 224)

    def passed():
        with torch.no_grad():
            net(x)

    def ours():
        keep_freed_memory()
        passed()

    def peer():
        give_back()
        passed()

    try:
        ratio(ours, peer, limit=1.0, rounds=5)
    finally:
        give_back()


def give_back() -> None:
    """The thresholds that glibc finds for itself where blocks of 32 MB and more have been freed."""
    mallopt = ctypes.CDLL(None).mallopt
    for name, value in ((-4, 65536), (-3, 2**25), (-1, 2**26)):  # how many mmaps, from which size on, when to trim
        mallopt(name, value)
