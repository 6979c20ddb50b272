import numpy as np
import pytest
import torch
from torch.nn import functional as F

from octavo.blocks.embedding_losses import class_variance, supervised_contrastive


def contrastive_by_loops(embeddings, labels, temperature):
    """The published formula, anchor by anchor."""
    costs = []
    for anchor in range(len(labels)):
        others = [j for j in range(len(labels)) if j != anchor]
        kin = [j for j in others if labels[j] == labels[anchor]]
        if not kin:
            continue
        logits = {j: float(embeddings[anchor] @ embeddings[j]) / temperature for j in others}
        denominator = np.log(sum(np.exp(value) for value in logits.values()))
        costs.append(-np.mean([logits[j] - denominator for j in kin]))
    return float(np.mean(costs)) if costs else 0.0


def variance_by_loops(embeddings, labels):
    means = []
    for label in sorted(set(labels)):
        members = [embeddings[j] for j in range(len(labels)) if labels[j] == label]
        if len(members) < 2:
            continue
        centre = np.mean(members, axis=0)
        means.append(np.mean([((one - centre) ** 2).sum() for one in members]))
    return float(np.mean(means)) if means else 0.0


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 0], [0, 1, 2, 0, 2, 2], [0, 0, 0, 1], [0, 1], [1, 1, 1]])
def test_the_means_are_the_published_numbers(labels):
    torch.manual_seed(len(labels))
    embeddings = F.normalize(torch.randn(len(labels), 7, dtype=torch.float64), dim=-1)
    tensor = torch.tensor(labels)
    contrast = supervised_contrastive(embeddings, tensor, 0.07).mean().item()
    assert contrast == pytest.approx(contrastive_by_loops(embeddings.numpy(), labels, 0.07), abs=1e-10)
    variance = class_variance(embeddings, tensor).mean().item()
    assert variance == pytest.approx(variance_by_loops(embeddings.numpy(), labels), abs=1e-12)


def test_gradients_are_finite_where_an_anchor_is_alone():
    embeddings = torch.randn(3, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 1])
    normed = F.normalize(embeddings, dim=-1)
    (supervised_contrastive(normed, labels).mean() + class_variance(normed, labels).mean()).backward()
    assert torch.isfinite(embeddings.grad).all()
