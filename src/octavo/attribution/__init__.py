"""Explaining a score: maps of which voxels an answer rests on."""

from octavo.attribution.explainer import (
    EXPLAINERS,
    Attribution,
    Explainer,
    covering,
    find_explainer,
    require_explained_by,
)
from octavo.attribution.grad_cam import grad_cam, is_zero, published_grad_cam, same_grid
from octavo.attribution.score import Score, class_margin, predicted_margin

__all__ = [
    "EXPLAINERS",
    "Attribution",
    "Explainer",
    "Score",
    "class_margin",
    "covering",
    "find_explainer",
    "grad_cam",
    "is_zero",
    "predicted_margin",
    "published_grad_cam",
    "require_explained_by",
    "same_grid",
]
