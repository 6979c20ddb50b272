"""What a trained network says about exams."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from octavo.training.threads import cores_for_torch


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def logit_margins(network: nn.Module, batches: Iterable[dict[str, Any]]) -> Float[np.ndarray, " exam"]:
    """How far the positive class's logit is above the other, for every exam, in evaluation mode.

    The network is moved to the best device and left in evaluation mode. The value does not depend on which exams share a
    batch.
    """
    device = best_device()
    network.to(device).eval()
    margins = []
    with cores_for_torch(), torch.inference_mode():
        for batch in batches:
            logits = network(batch["volume"].to(device)).logits.double().cpu()
            margins.append((logits[:, 1] - logits[:, 0]).numpy())
    return np.concatenate(margins) if margins else np.zeros(0)
