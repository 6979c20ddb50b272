"""Scores: network outputs to one number per example, the number that is being explained."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Score = Callable[[Float[Tensor, "batch classes"]], Float[Tensor, " batch"]]
"""What an explainer explains: a function of the logits, one number per example."""


def predicted_margin(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
    """How far the predicted class's logit is above the next one's.

    For two classes the gradient of the predicted probability is `p(1-p)` times this one's, so a map divided by its own
    maximum is the same; unlike the probability it does not fade as the network grows confident.

    Example:
        >>> predicted_margin(torch.tensor([[1.0, 4.0]]))
        tensor([3.])
    """
    highest, second = logits.topk(2, dim=1).values.unbind(dim=1)
    return highest - second


def class_margin(index: int) -> Score:
    """How far one class's logit is above the highest of the others.

    Example:
        >>> class_margin(0)(torch.tensor([[1.0, 4.0]]))
        tensor([-3.])
    """

    def margin(logits: Float[Tensor, "batch classes"]) -> Float[Tensor, " batch"]:
        others = torch.cat((logits[:, :index], logits[:, index + 1 :]), dim=1)
        return logits[:, index] - others.amax(dim=1)

    return margin
