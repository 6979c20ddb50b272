"""What embeddings cost: classes apart from one another, and close together in themselves.

Both are given exam by exam, so that their mean over a batch is the published number.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def supervised_contrastive(
    embeddings: Float[Tensor, "batch embedding"], labels: Int[Tensor, " batch"], temperature: float = 0.07
) -> Float[Tensor, " batch"]:
    """Khosla and others, "Supervised Contrastive Learning", 2020: minus the mean log-probability of one's own class.

    For each anchor, a softmax over all others of the batch by similarity; averaged over others of the anchor's class. An
    anchor that has no such other costs nothing and is not counted, so that the mean is over those that have.

    Args:
        embeddings: Of length one.
        labels: Class of each.
        temperature: τ.

    Example:
        >>> apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> supervised_contrastive(apart, torch.tensor([0, 0, 1, 1]), temperature=0.1).mean() < 1e-3
        tensor(True)
    """
    count = len(labels)
    others = ~torch.eye(count, dtype=torch.bool, device=labels.device)
    kin = (labels[:, None] == labels[None, :]) & others
    similarity = (embeddings @ embeddings.T / temperature).masked_fill(~others, -torch.inf)
    log_probability = similarity - similarity.logsumexp(dim=1, keepdim=True)
    has_kin = kin.any(dim=1)
    mean = log_probability.masked_fill(~kin, 0.0).sum(dim=1) / kin.sum(dim=1).clamp(min=1)
    return torch.where(has_kin, -mean, torch.zeros_like(mean)) * (count / has_kin.to(mean.dtype).sum().clamp(min=1))


def class_variance(
    embeddings: Float[Tensor, "batch embedding"], labels: Int[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """The mean squared distance to the mean of one's class, averaged over the classes that have two members or more.

    Example:
        >>> pair = torch.tensor([[0.0], [2.0], [5.0]])
        >>> class_variance(pair, torch.tensor([0, 0, 1])).mean()
        tensor(1.)
    """
    kin = (labels[:, None] == labels[None, :]).to(embeddings.dtype)
    members = kin.sum(dim=1)
    centres = kin @ embeddings / members[:, None]
    distance = (embeddings - centres).square().sum(dim=1)
    counted = members > 1
    classes = (counted / members).sum().clamp(min=1)
    return torch.where(counted, distance / members, torch.zeros_like(distance)) * (len(labels) / classes)
