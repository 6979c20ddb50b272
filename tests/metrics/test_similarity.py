import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special, stats

from octavo.errors import OctavoError
from octavo.metrics import similarity

GRIDS = [(16, 24, 14), (8, 9, 7), (4, 6, 5), (3, 2, 1), (1, 12, 12)]


def pair(grid, seed: int = 0, batch: int = 2, kind=torch.float64):
    """Two alike maps per exam, rectified as real maps are, each divided by its maximum."""
    generator = torch.Generator().manual_seed(seed)
    shared = torch.randn(batch, *grid, generator=generator, dtype=torch.float64)
    maps = [(shared + torch.randn(shared.shape, generator=generator, dtype=torch.float64)).relu() for _ in range(2)]
    return [(one / one.flatten(1).amax(dim=1)[:, None, None, None].clamp_min(1e-9)).to(kind) for one in maps]


def ssim_by_scipy(one, other):
    """SSIM of one exam from scipy's Gaussian filters, kept where the window fits."""

    def window(values):
        for axis, size in enumerate(values.shape):
            radius = next(radius for radius in (3, 2, 1, 0) if 2 * radius + 1 <= size)
            if radius:
                values = ndimage.gaussian_filter1d(values, 1.5, axis=axis, radius=radius)
            values = np.take(values, range(radius, size - radius), axis=axis)
        return values

    a, b = window(one), window(other)
    variance_a, variance_b = window(one**2) - a**2, window(other**2) - b**2
    covariance = window(one * other) - a * b
    values = (2 * a * b + 1e-4) * (2 * covariance + 9e-4) / ((a**2 + b**2 + 1e-4) * (variance_a + variance_b + 9e-4))
    return values.mean()


def smooth_by_scipy(values):
    def filtered(array):
        return ndimage.gaussian_filter(array, 1.0, mode="constant", radius=3)

    return filtered(values) / filtered(np.ones_like(values))


@pytest.mark.parametrize("grid", GRIDS)
def test_measures_agree_with_numpy_and_scipy(grid):
    care, cam = pair(grid, seed=3)
    found = similarity.measure_agreement(care, cam)
    for exam, (one, other) in enumerate(zip(care.numpy(), cam.numpy(), strict=True)):
        assert found.mse[exam].item() == pytest.approx(((one - other) ** 2).mean())
        p, q = (other + 1e-8) / (other + 1e-8).sum(), (one + 1e-8) / (one + 1e-8).sum()
        assert found.kl[exam].item() == pytest.approx(special.rel_entr(p, q).sum())
        assert found.ssim[exam].item() == pytest.approx(ssim_by_scipy(one, other), abs=1e-9)
        if not found.pearson_undefined[exam]:
            assert found.pearson[exam].item() == pytest.approx(stats.pearsonr(one.ravel(), other.ravel()).statistic)
            smoothed = np.corrcoef(smooth_by_scipy(one).ravel(), smooth_by_scipy(other).ravel())[0, 1]
            assert found.pearson_smoothed[exam].item() == pytest.approx(smoothed)


def test_divergence_runs_from_grad_cam_to_care():
    spot, even = torch.zeros(1, 4, 4, 4, dtype=torch.float64), torch.ones(1, 4, 4, 4, dtype=torch.float64)
    spot[0, 1, 2, 3] = 1
    assert similarity.kl_divergence(care=even, grad_cam=spot).item() == pytest.approx(math.log(64), abs=1e-4)
    assert similarity.kl_divergence(care=spot, grad_cam=even).item() > 10


@pytest.mark.parametrize("name", similarity.CONSISTENCY_LOSSES)
def test_equal_maps_have_the_lowest_loss_and_exams_do_not_mix(name):
    loss = similarity.CONSISTENCY_LOSSES[name]
    care, cam = pair((6, 8, 7), seed=5, batch=3)
    lowest = -1.0 if name == "pearson" else 0.0
    torch.testing.assert_close(loss(care, care), torch.full((3,), lowest, dtype=torch.float64))
    together = loss(care, cam)
    assert together.shape == (3,)
    assert (together > lowest + 1e-3).all()
    alone = torch.cat([loss(care[exam : exam + 1], cam[exam : exam + 1]) for exam in range(3)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", similarity.CONSISTENCY_LOSSES)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_gradients_are_right_also_for_faint_maps(name, scale):
    care, cam = pair((3, 4, 3), seed=7)
    care, cam = (maps + 0.05 for maps in (care, cam))
    loss = similarity.CONSISTENCY_LOSSES[name]

    def scaled(one, other):
        return loss(one * scale, other * scale) / max(scale, 1e-3) ** (2 if name == "mse" else 0)

    assert torch.autograd.gradcheck(scaled, (care.requires_grad_(), cam.requires_grad_()), atol=1e-7, rtol=1e-4)


def test_smoothed_correlation_has_the_right_gradient():
    care, cam = pair((3, 4, 5), seed=8)
    assert torch.autograd.gradcheck(
        lambda one, other: similarity.pearson(one, other, 1.0), (care.requires_grad_(), cam.requires_grad_())
    )


@pytest.mark.parametrize("name", similarity.CONSISTENCY_LOSSES)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("level", [0.0, 1e-30, 1e-8, 0.3, 1.0])
@pytest.mark.parametrize("both", [False, True])
def test_no_gradient_is_nan_where_a_map_is_constant(name, kind, level, both):
    care, cam = pair((4, 5, 6), seed=9, kind=kind)
    cam[0] = level
    if both:
        care[0] = level
    care.requires_grad_()
    cam.requires_grad_()
    values = similarity.CONSISTENCY_LOSSES[name](care, cam)
    values.sum().backward()
    assert torch.isfinite(values).all()
    assert torch.isfinite(care.grad).all()
    assert torch.isfinite(cam.grad).all()
    # the other exam of the batch still learns
    assert care.grad[1].abs().max() > 0
    if name == "pearson":
        assert values[0] == 0
        assert not care.grad[0].any()
        assert not cam.grad[0].any()


@pytest.mark.parametrize("scale", [1e-3, 1e-7, 1e-11])
def test_correlation_of_faint_maps_is_that_of_the_same_maps_made_bright(scale):
    care, cam = pair((4, 5, 6), seed=10, kind=torch.float32)
    bright = similarity.pearson(care, cam)
    faint = (care * scale).requires_grad_()
    found = similarity.pearson(faint, cam)
    torch.testing.assert_close(found, bright)
    found.sum().backward()
    assert torch.isfinite(faint.grad).all()
    # the correlation does not depend on scale, so its gradient is across the map
    across = (faint.grad * faint.detach()).flatten(1).sum(dim=1)
    torch.testing.assert_close(across, torch.zeros(2), atol=1e-5, rtol=0)


def test_constant_maps_are_told_apart_from_faint_ones():
    maps = torch.zeros(5, 2, 3, 4)
    maps[1] = 0.3
    maps[2] = 0.3 * (1 + 1e-7 * torch.rand(2, 3, 4))
    maps[3] = 0.3 + 1e-3 * torch.rand(2, 3, 4)
    maps[4] = 1e-6 * torch.rand(2, 3, 4)
    assert similarity.is_constant(maps).tolist() == [True, True, True, False, False]
    assert similarity.is_constant(maps.half()[:2]).tolist() == [True, True]


def test_empty_maps_are_counted():
    care, cam = pair((4, 4, 4), seed=11, batch=3)
    cam[0] = 0
    care[1], cam[1] = 0.5, 0.5
    found = similarity.measure_agreement(care, cam)
    assert found.grad_cam_is_zero.tolist() == [True, False, False]
    assert found.care_is_zero.tolist() == [False, False, False]
    assert found.pearson_undefined.tolist() == [True, True, False]
    assert found.pearson[:2].tolist() == found.pearson_smoothed[:2].tolist() == [0.0, 0.0]
    assert found.ssim[1].item() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_compared_in_single(kind):
    care, cam = pair((8, 8, 8), seed=12, kind=kind)
    for loss in similarity.CONSISTENCY_LOSSES.values():
        found = loss(care, cam)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, loss(care.double(), cam.double()).float(), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(loss(care, cam.float()), found)


def test_autocast_changes_nothing():
    care, cam = pair((8, 8, 8), seed=13, kind=torch.float32)
    for loss in similarity.CONSISTENCY_LOSSES.values():
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = loss(care, cam)
        assert torch.equal(found, loss(care, cam))


def test_what_cannot_be_compared_is_refused():
    maps = torch.rand(2, 3, 4, 5)
    with pytest.raises(OctavoError, match=r"CARE has shape \(2, 3, 4, 5\) and Grad-CAM \(2, 3, 4, 4\)"):
        similarity._pair(maps, maps[..., :4])
    with pytest.raises(OctavoError, match="batch bscan depth ascan"):
        similarity._pair(maps[0], maps[0])
    with pytest.raises(OctavoError, match=r"torch\.int64"):
        similarity._pair(maps, maps.long())
    with pytest.raises(OctavoError, match="sigma is -1"):
        similarity.pearson(maps, maps, -1.0)


@pytest.mark.parametrize("bad", [-0.01, 1.01, float("nan")])
def test_reports_refuse_maps_out_of_range(bad):
    care, cam = pair((3, 4, 5), seed=14)
    cam[1, 0, 0, 0] = bad
    with pytest.raises(OctavoError, match="1 of 120 values of the Grad-CAM maps"):
        similarity.measure_agreement(care, cam)
