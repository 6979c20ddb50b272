import numpy as np

from octavo.phantom.streams import LIMIT_SD, Kin, stream


def test_a_stream_is_found_again_by_its_name_and_no_other():
    first = stream(5, "speckle", "OD").standard_normal(8)
    assert np.array_equal(first, stream(5, "speckle", "OD").standard_normal(8))
    for other in (
        stream(6, "speckle", "OD"),
        stream(5, "speckle", "OS"),
        stream(5, "speckle"),
        stream(5, "OD", "speckle"),
    ):
        assert not np.array_equal(first, other.standard_normal(8))


def test_two_eyes_are_as_alike_as_said():
    patient, right, left = (np.random.default_rng(k) for k in range(3))
    rights = Kin(patient, right, alike=0.6).normal(20_000)
    lefts = Kin(np.random.default_rng(0), left, alike=0.6).normal(20_000)
    assert abs(np.corrcoef(rights, lefts)[0, 1] - 0.6) < 0.02
    assert abs(rights.std() - 1) < 0.03


def test_traits_stay_within_the_limit():
    draws = Kin(np.random.default_rng(0), np.random.default_rng(1)).normal(20_000)
    assert np.abs(draws).max() == LIMIT_SD


def test_one_trait_lies_around_its_mean():
    kin = Kin(np.random.default_rng(0), np.random.default_rng(1))
    traits = [kin.around(100.0, 5.0) for _ in range(2000)]
    assert abs(np.mean(traits) - 100) < 0.5
    assert abs(np.std(traits) - 5) < 0.4
