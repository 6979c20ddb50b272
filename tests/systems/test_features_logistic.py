"""Fixed features against scans whose thickness and brightness are known, and the fit against another program's."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from octavo.errors import OctavoError
from octavo.systems.peers.features_logistic import FeaturesLogistic, fit_logistic
from octavo.systems.peers.scan_features import FEATURES, REGIONS, scan_features, thickness

SIZE = (16, 96, 20)
SLABS = {
    "superior temporal": (20, 60, 0.9),
    "superior nasal": (30, 50, 0.7),
    "inferior temporal": (10, 80, 0.8),
    "inferior nasal": (25, 42, 0.6),
}
"""First and last sample of bright tissue, and how bright."""


def eye(noise=0.0):
    volume = np.full(SIZE, 0.2)
    for number, (top, bottom, grey) in enumerate(SLABS.values()):
        rows = slice(0, 8) if number < 2 else slice(8, 16)
        columns = slice(0, 10) if number % 2 == 0 else slice(10, 20)
        volume[rows, top:bottom, columns] = grey
    volume += np.random.default_rng(0).normal(scale=noise, size=SIZE)
    return torch.from_numpy(volume.astype(np.float32))[None, None]


def features_of(volume):
    return dict(zip(FEATURES, scan_features(volume)[0].tolist(), strict=True))


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_thickness_is_that_of_the_bright_tissue_in_every_quadrant(noise):
    found = thickness(eye(noise))[0] * SIZE[1]
    assert found.shape == (SIZE[0], SIZE[2])
    for number, (top, bottom, _) in enumerate(SLABS.values()):
        # where quadrants meet, neighbouring A-scans are averaged over the border
        inner = found[1:7] if number < 2 else found[9:15]
        inner = inner[:, 1:9] if number % 2 == 0 else inner[:, 11:19]
        torch.testing.assert_close(inner, torch.full_like(inner, bottom - top), rtol=0, atol=2 if noise else 1e-4)


def test_the_features_are_mean_and_spread_of_each_quadrants_thickness():
    volume = eye(0.05)
    found, thick = features_of(volume), thickness(volume)[0].numpy()
    quadrants = [thick, thick[:8, :10], thick[:8, 10:], thick[8:, :10], thick[8:, 10:]]
    for region, values in zip(REGIONS, quadrants, strict=True):
        assert found[f"{region}: thickness"] == pytest.approx(values.mean(), abs=1e-6)
        assert found[f"{region}: standard deviation of thickness"] == pytest.approx(values.std(), abs=1e-6)


def test_grey_values_are_those_of_the_quadrant():
    volume = torch.rand(2, 1, *SIZE, generator=torch.Generator().manual_seed(3))
    numbers = scan_features(volume)
    grey = volume[1, 0].numpy()
    quadrants = [grey, grey[:8, :, :10], grey[:8, :, 10:], grey[8:, :, :10], grey[8:, :, 10:]]
    for region, values in zip(REGIONS, quadrants, strict=True):
        for name, wanted in {
            "mean": values.mean(),
            "standard deviation": values.std(),
            "percentile 5": np.percentile(values, 5, method="nearest"),
            "percentile 50": np.percentile(values, 50, method="nearest"),
            "percentile 95": np.percentile(values, 95, method="nearest"),
        }.items():
            assert numbers[1, FEATURES.index(f"{region}: {name}")] == pytest.approx(float(wanted), abs=2e-4), name


def test_a_scan_without_edges_has_no_thickness_and_every_feature_is_a_number():
    flat = scan_features(torch.full((1, 1, 2, 8, 2), 0.5))
    assert bool(torch.isfinite(flat).all())
    assert flat[0, FEATURES.index("whole: thickness")] == 0


def test_the_range_of_grey_values_does_not_matter_to_thickness():
    torch.testing.assert_close(thickness(eye(0.05) * 255), thickness(eye(0.05)))


def cohort(exams=60, features=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(exams, features, generator=generator, dtype=torch.float64)
    margin = x @ torch.arange(1.0, features + 1, dtype=torch.float64) - 0.5
    return x, (margin + torch.randn(exams, generator=generator, dtype=torch.float64) > 0).long()


@pytest.mark.parametrize("l2", [1e-6, 0.01, 10.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_fit_is_that_of_another_program(l2, weighted):
    x, labels = cohort()
    weights = torch.where(labels == 1, 1.7, 0.6).double() if weighted else torch.ones(len(x)).double()
    weight, bias = fit_logistic(x, labels, weights, l2)
    other = LogisticRegression(C=1 / (l2 * float(weights.sum())), tol=1e-12, max_iter=10000, solver="newton-cholesky")
    other.fit(x.numpy(), labels.numpy(), sample_weight=weights.numpy())
    np.testing.assert_allclose(weight.numpy(), other.coef_[0], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(bias.numpy(), other.intercept_, rtol=1e-4, atol=1e-7)


def test_classes_that_a_feature_separates_have_a_best_fit_all_the_same():
    x = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]], dtype=torch.float64)
    weight, bias = fit_logistic(x, torch.tensor([0, 0, 1, 1]), torch.ones(4).double(), 1e-4)
    assert 1 < float(weight) < 100
    assert float(bias) == pytest.approx(0, abs=1e-8)


def test_features_are_standardised_by_the_exams_that_were_learnt_from():
    network = FeaturesLogistic()
    numbers = torch.randn(40, len(FEATURES), generator=torch.Generator().manual_seed(1)) * 3 + 5
    numbers[:, 7] = 0.25
    labels = (numbers[:, 0] > 5).long()
    network.fit(numbers, labels, torch.ones(40).double())
    torch.testing.assert_close(network.mean, numbers.mean(dim=0))
    wanted = numbers.std(dim=0, correction=0)
    wanted[7] = 1.0
    torch.testing.assert_close(network.spread, wanted)
    assert network.weight[7] == 0, "what never differs tells nothing"
    assert (network.answer(numbers).argmax(dim=1) == labels).float().mean() > 0.9
    assert set(network.state_dict()) == {"weight", "bias", "mean", "spread"}


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(label):
    with pytest.raises(OctavoError, match=f"class {1 - label} is empty in the training part; wanted both"):
        FeaturesLogistic().fit(torch.rand(3, len(FEATURES)), torch.full((3,), label), torch.ones(3).double())
