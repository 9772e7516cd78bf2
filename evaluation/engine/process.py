"""What every process of a run needs before its first tensor."""

import torch

from .heap import keep_freed_memory


def ready_process() -> None:
    """Numbers that a GPU gives again whenever it is asked, and memory that is kept from batch to batch."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    keep_freed_memory()
