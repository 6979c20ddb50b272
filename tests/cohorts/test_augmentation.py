import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.cohorts.augmentation import Augmentation, exam_stream
from octavo.errors import OctavoError
from octavo.transforms import resample_values

OFF = {"brightness": 0.0, "contrast": 0.0, "gamma": 0.0, "zoom": 1.0}
STRONG = Augmentation(brightness=0.6, contrast=0.9, gamma=0.8, zoom=3.0, flip_bscans=True, flip_ascans=True)


def block(shape=(6, 8, 10), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def only(**knobs):
    return Augmentation(**{**OFF, **knobs})


def grey(values):
    return values.astype(np.float32) * np.float32(1 / 255)


@pytest.mark.parametrize("augmentation", [Augmentation(), STRONG])
def test_the_same_seed_epoch_and_exam_give_the_same_voxels(augmentation):
    values = block()
    first = augmentation.apply(values, exam_stream(5, 2, 7))
    np.random.seed(3)  # whatever else draws numbers changes nothing
    augmentation.apply(block(seed=9), exam_stream(5, 2, 8))
    np.testing.assert_array_equal(augmentation.apply(values, exam_stream(5, 2, 7)), first)


def test_another_seed_epoch_or_exam_gives_others():
    values = block()
    seen = [Augmentation().apply(values, exam_stream(*which)) for which in [(5, 2, 7), (6, 2, 7), (5, 3, 7), (5, 2, 8)]]
    for index, one in enumerate(seen):
        for other in seen[index + 1 :]:
            assert np.abs(one - other).max() > 0.01


def test_streams_do_not_meet():
    drawn = {exam_stream(s, e, x).random() for s in range(6) for e in range(6) for x in range(6)}
    assert len(drawn) == 216


@given(st.integers(0, 10_000), st.tuples(*[st.integers(1, 9)] * 3))
@settings(max_examples=60)
def test_values_stay_between_0_and_1_whatever_is_drawn(seed, shape):
    for augmentation in (Augmentation(), STRONG):
        varied = augmentation.apply(block(shape, seed), exam_stream(seed, 0, 0))
        assert varied.dtype == np.float32
        assert varied.shape == shape
        assert np.isfinite(varied).all()
        assert varied.min() >= 0
        assert varied.max() <= 1


def test_everything_off_is_the_scan_itself():
    values = block()
    for exam in range(5):
        np.testing.assert_array_equal(only().apply(values, exam_stream(1, 0, exam)), grey(values))


@pytest.mark.parametrize("knob", ["brightness", "contrast", "gamma", "zoom", "flip_bscans", "flip_ascans"])
def test_each_kind_varies_on_its_own_and_can_be_turned_off_on_its_own(knob):
    values = block()
    strong = {name: getattr(STRONG, name) for name in (*OFF, "flip_bscans", "flip_ascans")}
    off = {**OFF, "flip_bscans": False, "flip_ascans": False}
    streams = [(1, 0, exam) for exam in range(8)]
    alone = only(**{knob: strong[knob]})
    assert any(np.abs(alone.apply(values, exam_stream(*s)) - grey(values)).max() > 0.01 for s in streams)
    # without it the others vary as they do with it at no strength
    without = Augmentation(**{**strong, knob: off[knob]})
    assert any(
        np.abs(without.apply(values, exam_stream(*s)) - STRONG.apply(values, exam_stream(*s))).max() > 0.01
        for s in streams
    )


def test_brightness_shifts_by_at_most_its_share():
    values = np.full((4, 4, 4), 100, dtype=np.uint8)
    values[0] = 140
    shifts = []
    for exam in range(200):
        varied = only(brightness=0.1).apply(values, exam_stream(1, 0, exam))
        shift = varied - grey(values)
        np.testing.assert_allclose(shift, shift.flat[0], atol=1e-6)
        shifts.append(float(shift.flat[0]))
    assert -0.1001 <= min(shifts) < -0.08
    assert 0.08 < max(shifts) <= 0.1001


def test_contrast_spreads_around_the_mean():
    values = block() // 4 + 96
    spreads = []
    for exam in range(200):
        varied = only(contrast=0.2).apply(values, exam_stream(1, 0, exam))
        assert varied.mean() == pytest.approx(grey(values).mean(), abs=1e-5)
        spreads.append(varied.std() / grey(values).std())
    assert 0.799 <= min(spreads) < 0.84
    assert 1.16 < max(spreads) <= 1.201


def test_gamma_keeps_black_and_white_and_the_order_between():
    values = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    exponents = []
    for exam in range(200):
        varied = only(gamma=0.2).apply(values, exam_stream(1, 0, exam)).ravel()
        assert (varied[0], varied[-1]) == (0, pytest.approx(1))
        assert (np.diff(varied) > 0).all()
        exponents.append(np.log(varied[128]) / np.log(128 / 255))
    assert 0.818 <= min(exponents) < 0.85
    assert 1.18 < max(exponents) <= 1.222


def test_zoom_reads_a_part_of_the_scan_magnified_at_most_so_much():
    places = np.stack(np.meshgrid(*[np.linspace(10, 250, n) for n in (20, 20, 20)], indexing="ij"))
    seen = []
    for exam in range(100):
        axes = [only(zoom=1.25).apply(axis.astype(np.uint8), exam_stream(1, 0, exam)) for axis in places]
        extents = [(axis.max() - axis.min()) * 255 / 240 for axis in axes]
        seen.append(min(extents))
        assert max(extents) - min(extents) < 0.03  # all axes alike
    assert 0.77 <= min(seen) < 0.83
    assert max(seen) > 0.96


def test_zoom_is_a_window_of_the_scan():
    values = block((8, 8, 8))
    rng = exam_stream(4, 0, 0)
    factor, starts = rng.uniform(1.0, 1.5), rng.random(3)
    kept = 8 / factor
    window = tuple((start * (8 - kept), start * (8 - kept) + kept) for start in starts)
    wanted = resample_values(values, (8, 8, 8), window) / 255
    np.testing.assert_allclose(only(zoom=1.5).apply(values, exam_stream(4, 0, 0)), wanted, atol=1e-6)


def test_neither_halves_nor_macula_and_nerve_are_exchanged_unless_asked_for():
    # bright superior-temporal corner: after orientation it must stay there, or the halves would be exchanged
    values = np.zeros((8, 8, 8), dtype=np.uint8)
    values[:3, :, :3] = 255
    for exam in range(100):
        varied = Augmentation().apply(values, exam_stream(1, 0, exam))
        assert varied[:4, :, :4].mean() > 2 * max(varied[4:].mean(), varied[:, :, 4:].mean())


@pytest.mark.parametrize(("knob", "axis"), [("flip_bscans", 0), ("flip_ascans", 2)])
def test_a_flip_turns_over_half_of_the_scans_along_its_axis(knob, axis):
    values = block()
    turned = 0
    for exam in range(200):
        varied = only(**{knob: True}).apply(values, exam_stream(1, 0, exam))
        if np.array_equal(varied, grey(values)):
            continue
        np.testing.assert_array_equal(varied, np.flip(grey(values), axis))
        turned += 1
    assert 70 <= turned <= 130


def test_the_prepared_scan_is_left_as_it_was():
    values = block()
    before = values.copy()
    values.flags.writeable = False
    STRONG.apply(values, exam_stream(1, 2, 3))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    ("knob", "value"),
    [("zoom", 0.9), ("zoom", 11.0), ("zoom", float("nan")), ("brightness", -0.1), ("contrast", 1.5), ("gamma", -1.0)],
)
def test_strengths_that_make_no_sense_are_refused(knob, value):
    with pytest.raises(OctavoError, match=f"{knob} of the augmentation is {value}; wanted"):
        only(**{knob: value})
