"""What reading one volume costs a network, counted without computing anything."""

import math
from typing import Any

import torch
from torch import nn


def multiply_adds(network: nn.Module, size: tuple[int, int, int]) -> int:
    """Multiplications with addition of one volume in evaluation mode: convolutions and matrix products, nothing else.

    Args:
        network: May hold weights or, built under `torch.device("meta")`, only their shapes; it is only asked on that device.
        size: B-scans, depth samples and A-scans.

    Example:
        >>> multiply_adds(nn.Conv3d(1, 2, 3, padding=1), (4, 4, 4))
        3456
    """
    from torch.utils.flop_counter import FlopCounterMode

    meta = network.to("meta").eval()
    # sums of products in place are not among what the counter knows by itself
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _of_products_in_place})
    with counter, torch.no_grad():
        meta(torch.zeros(1, 1, *size, device="meta"))
    # the counter takes a multiplication and its addition for two
    return counter.get_total_flops() // 2


def _of_products_in_place(target: Any, a: Any, b: Any, *_: Any, **__: Any) -> int:
    return 2 * math.prod(a) * b[-1]
