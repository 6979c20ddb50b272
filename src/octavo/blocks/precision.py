"""Parts of a network that are computed in full precision whatever stands around them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(x: Tensor) -> AbstractContextManager[object]:
    """Within the block nothing on the tensor's device is rounded to fewer bits.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16), full_precision(torch.ones(1)):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.float32
    """
    # on the device of shapes without values nothing is computed, and there is no precision to ask for
    return nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False)
