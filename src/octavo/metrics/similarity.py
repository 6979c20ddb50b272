"""How much two maps agree: CARE and Grad-CAM of the same exam, voxel by voxel.

Every function takes the two maps of each exam, between 0 and 1, and returns one number per exam. All are differentiable
in both maps, for they are also what the consistency stage of training minimises (`CONSISTENCY_LOSSES`). Gaussian
windows are sums of shifted copies and no convolutions, so the numbers are the same on every device and with every
shortcut that libraries take for convolutions. Maps of half precision are compared in single precision.

Values are not checked here, for that would stop a GPU at every step; `measure_agreement` checks them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from octavo.errors import OctavoError

KL_FLOOR = 1e-8
"""Added to every voxel before a map becomes a distribution, so that zeros have a logarithm."""

SSIM_WINDOW = 7
SSIM_SIGMA = 1.5
SSIM_LUMINANCE = 0.01**2
"""Steadies the ratio of means; the usual (0.01 L)^2 with the data range L = 1."""
SSIM_CONTRAST = 0.03**2
"""Steadies the ratio of variances; the usual (0.03 L)^2 with the data range L = 1."""

SMOOTHING_RADIUS_SIGMAS = 3
CONSTANT_RANGE = 1e-6
"""A map whose values span less than this share of the largest is constant: the rest is rounding."""
_SMALLEST_RANGE = 1e-12
"""Nor is there more in a fainter map; its squares would be near the end of single precision."""

ExamMaps = Float[Tensor, "batch bscan depth ascan"]
PerExam = Float[Tensor, " batch"]


def mean_squared_error(care: ExamMaps, grad_cam: ExamMaps) -> PerExam:
    """Mean squared distance of the two maps.

    Raises:
        OctavoError: If the maps differ in shape or are no floating-point numbers.

    Example:
        >>> mean_squared_error(torch.zeros(1, 2, 2, 2), torch.full((1, 2, 2, 2), 0.5))
        tensor([0.2500])
    """
    care, grad_cam = _pair(care, grad_cam)
    return (care - grad_cam).square().flatten(1).mean(dim=1)


def kl_divergence(care: ExamMaps, grad_cam: ExamMaps) -> PerExam:
    """Kullback-Leibler divergence of CARE from Grad-CAM, KL(Grad-CAM || CARE), in nats.

    Each map, with 1e-8 added everywhere, is divided by its sum and so becomes a distribution over voxels. Grad-CAM is
    the truth of the comparison: where it is warm and CARE is cold costs most. A map of zeros becomes the even
    distribution.

    Raises:
        OctavoError: If the maps differ in shape or are no floating-point numbers.
    """
    care, grad_cam = _pair(care, grad_cam)
    wanted, given = _distribution(grad_cam), _distribution(care)
    return (wanted * (wanted.log() - given.log())).sum(dim=1)


def structural_similarity(care: ExamMaps, grad_cam: ExamMaps) -> PerExam:
    """Structural similarity (SSIM) in three dimensions: mean over all places of a Gaussian window.

    The window has 7 samples along each axis, or the largest odd number that fits, and a standard deviation of 1.5
    samples. Only places where it fits count, so nothing is made up beyond the edge. Constants are the usual ones for
    values from 0 to 1. Two equal maps have 1, also where both are constant or zero.

    Raises:
        OctavoError: If the maps differ in shape or are no floating-point numbers.

    Example:
        >>> maps = torch.rand(2, 8, 8, 8, dtype=torch.float64)
        >>> structural_similarity(maps, maps).round(decimals=9)
        tensor([1., 1.], dtype=torch.float64)
    """
    care, grad_cam = _pair(care, grad_cam)
    moments = torch.stack([care, grad_cam, care.square(), grad_cam.square(), care * grad_cam])
    for axis, size in enumerate(care.shape[1:], start=2):
        moments = _slide(moments, _gaussian((min(SSIM_WINDOW, size) - 1) // 2, SSIM_SIGMA), axis)
    mean_care, mean_cam, square_care, square_cam, product = moments
    luminance = (2 * mean_care * mean_cam + SSIM_LUMINANCE) / (mean_care.square() + mean_cam.square() + SSIM_LUMINANCE)
    spread = square_care - mean_care.square() + square_cam - mean_cam.square()
    contrast = (2 * (product - mean_care * mean_cam) + SSIM_CONTRAST) / (spread + SSIM_CONTRAST)
    return (luminance * contrast).flatten(1).mean(dim=1)


def pearson(care: ExamMaps, grad_cam: ExamMaps, smoothing_sigma_voxels: float = 0.0) -> PerExam:
    """Pearson correlation over all voxels, plain or after Gaussian smoothing of both maps.

    Correlation with a constant map has no value. It counts 0 here and sends no gradient into either map, so that one
    dead Grad-CAM does not spoil a batch; `is_constant` counts such maps, and whoever reports a correlation leaves
    them out. At the edges the smoothing window is cut off and its weights still add up to one.

    Args:
        care: Maps between 0 and 1.
        grad_cam: Maps between 0 and 1 on the same grid.
        smoothing_sigma_voxels: Standard deviation of the smoothing along every axis; 0 for none.

    Raises:
        OctavoError: If the maps differ in shape, are no floating-point numbers, or sigma is negative.
    """
    if not (math.isfinite(smoothing_sigma_voxels) and smoothing_sigma_voxels >= 0):
        raise OctavoError(f"sigma is {smoothing_sigma_voxels} voxels; wanted 0 for no smoothing, or a positive number")
    care, grad_cam = _pair(care, grad_cam)
    undefined = is_constant(care) | is_constant(grad_cam)
    if smoothing_sigma_voxels > 0:
        care, grad_cam = (_smooth(maps, smoothing_sigma_voxels) for maps in (care, grad_cam))
        undefined = undefined | is_constant(care) | is_constant(grad_cam)
    one, other = _standardised(care, undefined), _standardised(grad_cam, undefined)
    return torch.where(undefined, 0.0, (one * other).sum(dim=1))


def is_constant(maps: ExamMaps) -> Bool[Tensor, " batch"]:
    """Tell the maps that have the same value everywhere, zeros included, up to rounding.

    Example:
        >>> is_constant(torch.stack([torch.zeros(2, 2, 2), torch.eye(2).expand(2, 2, 2)]))
        tensor([ True, False])
    """
    flat = maps.detach().flatten(1)
    flat = flat.float() if flat.dtype in {torch.float16, torch.bfloat16} else flat
    highest, lowest = flat.amax(dim=1), flat.amin(dim=1)
    largest = torch.maximum(highest.abs(), lowest.abs())
    return highest - lowest <= (CONSTANT_RANGE * largest).clamp_min(_SMALLEST_RANGE)


def ssim_loss(care: ExamMaps, grad_cam: ExamMaps) -> PerExam:
    """One minus the structural similarity."""
    return 1 - structural_similarity(care, grad_cam)


def pearson_loss(care: ExamMaps, grad_cam: ExamMaps) -> PerExam:
    """The negative Pearson correlation; 0 where it has no value."""
    return -pearson(care, grad_cam)


CONSISTENCY_LOSSES: dict[str, Callable[[ExamMaps, ExamMaps], PerExam]] = {
    "mse": mean_squared_error,
    "kl": kl_divergence,
    "ssim": ssim_loss,
    "pearson": pearson_loss,
}
"""What the consistency stage may minimise: CARE and Grad-CAM to one loss per exam."""


@dataclass(frozen=True)
class Agreement:
    """How much the two maps of each exam agree, for reports.

    The correlations are 0 where `pearson_undefined`, and are to be left out there. The constants and zeros are worth a
    count of their own: a method whose maps are empty agrees well with another whose maps are empty.
    """

    mse: PerExam
    kl: PerExam
    ssim: PerExam
    pearson: PerExam
    pearson_smoothed: PerExam
    """After smoothing with a standard deviation of one voxel."""
    pearson_undefined: Bool[Tensor, " batch"]
    care_is_zero: Bool[Tensor, " batch"]
    grad_cam_is_zero: Bool[Tensor, " batch"]


def measure_agreement(care: ExamMaps, grad_cam: ExamMaps) -> Agreement:
    """Measure agreement in every way, without gradients.

    Raises:
        OctavoError: If the maps differ in shape, or hold values that are not from 0 to 1.
    """
    care, grad_cam = _pair(care.detach(), grad_cam.detach())
    for name, maps in (("CARE", care), ("Grad-CAM", grad_cam)):
        good = (maps >= 0) & (maps <= 1)
        if not bool(good.all()):
            raise OctavoError(
                f"{int((~good).sum())} of {maps.numel()} values of the {name} maps are not from 0 to 1; "
                "wanted each map divided by its maximum"
            )
    return Agreement(
        mse=mean_squared_error(care, grad_cam),
        kl=kl_divergence(care, grad_cam),
        ssim=structural_similarity(care, grad_cam),
        pearson=pearson(care, grad_cam),
        pearson_smoothed=pearson(care, grad_cam, smoothing_sigma_voxels=1.0),
        pearson_undefined=is_constant(care) | is_constant(grad_cam),
        care_is_zero=(care == 0).flatten(1).all(dim=1),
        grad_cam_is_zero=(grad_cam == 0).flatten(1).all(dim=1),
    )


def _pair(care: Tensor, grad_cam: Tensor) -> tuple[Tensor, Tensor]:
    """The two maps in the same precision, at least single."""
    if care.shape != grad_cam.shape or care.ndim != 4 or 0 in care.shape:
        raise OctavoError(
            f"CARE has shape {tuple(care.shape)} and Grad-CAM {tuple(grad_cam.shape)}; wanted the same grid, "
            "batch bscan depth ascan, none of them empty; resample one to the other first"
        )
    if not (care.is_floating_point() and grad_cam.is_floating_point()):
        raise OctavoError(f"maps are of types {care.dtype} and {grad_cam.dtype}; wanted floating-point numbers")
    precision = torch.promote_types(torch.promote_types(care.dtype, grad_cam.dtype), torch.float32)
    return care.to(precision), grad_cam.to(precision)


def _distribution(maps: ExamMaps) -> Float[Tensor, "batch voxel"]:
    flat = maps.flatten(1) + KL_FLOOR
    return flat / flat.sum(dim=1, keepdim=True)


def _standardised(maps: ExamMaps, undefined: Bool[Tensor, " batch"]) -> Float[Tensor, "batch voxel"]:
    """Each map without its mean and of length one; where that is undefined, something whose gradient is finite."""
    flat = maps.flatten(1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    squares = centred.square().sum(dim=1, keepdim=True)
    return centred / torch.where(undefined[:, None], 1.0, squares).sqrt()


def _smooth(maps: ExamMaps, sigma_voxels: float) -> ExamMaps:
    radius = math.ceil(SMOOTHING_RADIUS_SIGMAS * sigma_voxels)
    window = _gaussian(radius, sigma_voxels)
    for axis in (1, 2, 3):
        padding = [0, 0] * (3 - axis) + [radius, radius]
        inside = maps.new_ones([size if dimension == axis else 1 for dimension, size in enumerate(maps.shape)])
        mass = _slide(functional.pad(inside, padding), window, axis)
        maps = _slide(functional.pad(maps, padding), window, axis) / mass
    return maps


def _gaussian(radius: int, sigma: float) -> list[float]:
    weights = [math.exp(-(offset**2) / (2 * sigma**2)) for offset in range(-radius, radius + 1)]
    return [weight / math.fsum(weights) for weight in weights]


def _slide(values: Tensor, window: Sequence[float], axis: int) -> Tensor:
    """Weighted sum of neighbours along an axis at every place where the whole window fits."""
    places = values.shape[axis] - len(window) + 1
    total = values.narrow(axis, 0, places) * window[0]
    for start, weight in enumerate(window[1:], start=1):
        total = total.add(values.narrow(axis, start, places), alpha=weight)
    return total
