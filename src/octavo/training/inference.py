"""What a trained network says about exams."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from octavo.training.threads import cores_for_torch


def best_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Readings(NamedTuple):
    """What a network says about exams."""

    logits: Float[np.ndarray, "exam classes"]
    """Of every class."""
    slice_weights: tuple[Float[np.ndarray, " slice"], ...] | None
    """How much each slice counted, where the network weighs slices."""

    @property
    def margins(self) -> Float[np.ndarray, " exam"]:
        """Of two classes: how far the positive class's logit is above the other."""
        return self.logits[:, 1] - self.logits[:, 0]


def read_exams(network: nn.Module, batches: Iterable[dict[str, Any]]) -> Readings:
    """What a network says about every exam, in evaluation mode.

    The network is moved to the best device and left in evaluation mode. What it says does not depend on which exams share
    a batch.
    """
    device = best_device()
    network.to(device).eval()
    logits, weights = [], []
    with cores_for_torch(), torch.inference_mode():
        for batch in batches:
            output = network(batch["volume"].to(device))
            logits.append(output.logits.double().cpu().numpy())
            if hasattr(output, "slice_weights"):
                # exams with fewer slices than others of their batch were filled up with NaN
                there = ~torch.isnan(batch["volume"]).any(dim=-1)
                weights += [
                    one[is_there].numpy() for one, is_there in zip(output.slice_weights.cpu(), there, strict=True)
                ]
    return Readings(np.concatenate(logits) if logits else np.zeros((0, 2)), tuple(weights) if weights else None)


def logit_margins(network: nn.Module, batches: Iterable[dict[str, Any]]) -> Float[np.ndarray, " exam"]:
    """The margins of `read_exams` alone."""
    return read_exams(network, batches).margins
