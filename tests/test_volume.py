import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.errors import OctavoError
from octavo.volume import (
    AXES,
    Frame,
    Laterality,
    Origin,
    Region,
    ScanPattern,
    SlowAxis,
    Source,
    Spacing,
    Volume,
)

BLOCK = np.arange(24.0).reshape(2, 4, 3)
SPACINGS = st.none() | st.floats(1e-6, 1e3)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (2, 4, 3, 1), (0, 4, 3), (2, 0, 3), (2, 4, 0)])
def test_anything_but_a_block_with_three_axes_is_refused(shape):
    # the shape annotation catches other numbers of axes before the refusal does, but only in tests
    with pytest.raises(Exception, match=r"values|jaxtyping|Type-check") as refusal:
        Volume(np.zeros(shape))
    if len(shape) == 3:
        assert isinstance(refusal.value, OctavoError)
        assert "wanted three axes (bscan, depth, ascan), none of them empty" in str(refusal.value)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float16", "float32", "float64"])
def test_every_real_number_type_is_kept_as_it_is(dtype):
    volume = Volume(BLOCK.astype(dtype))
    assert volume.values.dtype == dtype
    np.testing.assert_array_equal(volume.values, BLOCK)


def test_complex_numbers_are_refused():
    with pytest.raises(OctavoError, match="type complex128; wanted whole or floating-point numbers"):
        Volume(BLOCK.astype(complex))


@pytest.mark.parametrize(("bad", "count"), [((np.nan,), 1), ((np.inf, -np.inf), 2), ((np.nan, np.inf, np.nan), 3)])
def test_values_that_are_not_finite_are_counted_and_refused(bad, count):
    values = BLOCK.astype(np.float32)
    values.flat[: len(bad)] = bad
    with pytest.raises(OctavoError, match=f"{count} of 24 values are not finite"):
        Volume(values)


def test_values_cannot_be_changed_through_the_volume():
    mine = BLOCK.copy()
    volume = Volume(mine)
    with pytest.raises(ValueError, match="read-only"):
        volume.values[0, 0, 0] = 5
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.values = mine
    with pytest.raises(ValueError, match="read-only"):
        volume.with_values(mine + 1).values[...] = 0
    mine[0, 0, 0] = 5  # whoever made the array keeps it as it was
    assert mine.flags.writeable


def test_what_is_unknown_has_no_origin():
    volume = Volume(
        BLOCK,
        laterality_origin=Origin.READ,
        pattern_origin=Origin.USER,
        slow_axis_origin=Origin.ASSUMED,
        region_origin=Origin.DERIVED,
    )
    for name in ("laterality", "pattern", "slow_axis", "region"):
        assert getattr(volume, name) == "unknown"
        assert getattr(volume, f"{name}_origin") is Origin.UNKNOWN
    assert volume.spacing_mm.origins == (Origin.UNKNOWN,) * 3


def test_what_is_known_keeps_its_origin():
    volume = Volume(
        BLOCK,
        laterality=Laterality.OS,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.ASSUMED,
        slow_axis=SlowAxis.NASAL_TO_TEMPORAL,
        slow_axis_origin=Origin.USER,
        region=Region.DISC,
        region_origin=Origin.DERIVED,
    )
    origins = (volume.laterality_origin, volume.pattern_origin, volume.slow_axis_origin, volume.region_origin)
    assert origins == (Origin.READ, Origin.ASSUMED, Origin.USER, Origin.DERIVED)


def made(**words):
    """A volume as it is made where types are not checked; they are in the tests alone."""
    volume = object.__new__(Volume)
    for field in dataclasses.fields(Volume):
        object.__setattr__(volume, field.name, {"values": BLOCK, **words}.get(field.name, field.default))
    volume.__post_init__()
    return volume


def test_words_that_come_as_text_become_members_of_their_families():
    volume = made(
        laterality="OS",
        laterality_origin="user",
        pattern="other",
        slow_axis="nasal-to-temporal",
        region="disc",
        frame="scanner",
    )

    assert volume.laterality is Laterality.OS
    assert volume.laterality_origin is Origin.USER
    assert (volume.pattern, volume.frame) == (ScanPattern.OTHER, Frame.SCANNER)
    assert volume.slow_axis.is_vertical
    assert isinstance(volume.region, Region)


@pytest.mark.parametrize(
    ("name", "word", "known"),
    [
        ("laterality", "banana", "OD, OS, unknown"),
        ("laterality", "left", "OD, OS, unknown"),
        ("pattern", "star", "raster, line, radial, circle, other, unknown"),
        (
            "slow_axis",
            "upwards",
            "superior-to-inferior, inferior-to-superior, temporal-to-nasal, nasal-to-temporal, unknown",
        ),
        ("region", None, "macula, disc, macula-and-disc, unknown"),
        ("frame", "left-eye", "scanner, right-eye"),
        ("region_origin", "guessed", "read, derived, assumed, user, unknown"),
    ],
)
def test_a_word_that_is_none_is_refused_with_those_that_there_are(name, word, known):
    with pytest.raises(
        OctavoError, match=f"^'{word}' is not a word for {name.replace('_', ' ')}; wanted one of: {known}"
    ):
        made(**{name: word})


def test_with_values_keeps_everything_else():
    volume = Volume(
        BLOCK,
        Spacing(0.1, 0.004, 0.01),
        laterality=Laterality.OS,
        laterality_origin=Origin.READ,
        region=Region.MACULA,
        region_origin=Origin.USER,
        frame=Frame.RIGHT_EYE,
        source=Source("eye.vol", "heidelberg-vol", 2, "Spectralis"),
        notes=("one",),
    )
    other = volume.with_values(BLOCK + 1).with_note("two")
    for field in dataclasses.fields(Volume):
        if field.name not in {"values", "notes"}:
            assert getattr(other, field.name) == getattr(volume, field.name), field.name
    assert other.notes == ("one", "two")
    assert volume.notes == ("one",)
    np.testing.assert_array_equal(other.values, BLOCK + 1)
    coarser = volume.with_values(BLOCK[:1], Spacing(0.2, 0.004, 0.01))
    assert (coarser.spacing_mm.bscan, volume.spacing_mm.bscan) == (0.2, 0.1)


def test_shape_bscans_and_size_in_millimetres():
    volume = Volume(BLOCK, Spacing(0.5, 0.25, 2.0))
    assert volume.shape == (2, 4, 3)
    assert volume.size_mm == (1.0, 1.0, 6.0)
    assert [bscan.shape for bscan in volume.bscans] == [(4, 3), (4, 3)]
    np.testing.assert_array_equal(np.stack(list(volume.bscans)), BLOCK)


@pytest.mark.parametrize("missing", range(3))
def test_millimetres_that_are_unknown_are_named_and_refused(missing):
    values = [0.1, 0.004, 0.01]
    values[missing] = None
    volume = Volume(BLOCK, Spacing(*values))
    with pytest.raises(OctavoError, match=f"spacing along {AXES[missing]} is unknown .* --spacing-mm"):
        _ = volume.size_mm
    with pytest.raises(OctavoError, match="bscan, depth, ascan is unknown"):
        Spacing().known_mm()


@pytest.mark.parametrize("bad", [0.0, -0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("axis", AXES)
def test_impossible_spacing_is_refused(axis, bad):
    with pytest.raises(OctavoError, match=f"spacing along {axis} is .* mm; wanted a positive number"):
        Spacing(**{axis: bad})


@given(st.tuples(SPACINGS, SPACINGS, SPACINGS), st.tuples(*[st.sampled_from(list(Origin))] * 3))
def test_a_number_keeps_its_origin_and_no_number_has_none(values, origins):
    spacing = Spacing(*values, origins=origins)
    for value, given_origin, origin in zip(values, origins, spacing.origins, strict=True):
        assert origin is (Origin.UNKNOWN if value is None else given_origin)
    assert spacing.is_known == (None not in values)
    if spacing.is_known:
        assert spacing.known_mm() == values
    # what was unknown stays so, and scaling up and down leads back
    there = spacing.scaled(2, 4, 8)
    assert there.origins == spacing.origins
    assert there.scaled(1 / 2, 1 / 4, 1 / 8) == spacing


@pytest.mark.parametrize(
    ("spacing", "said"),
    [
        (Spacing(), "unknown"),
        (Spacing(0.12, 0.004, 0.011), "120 x 4 x 11 um (read)"),
        (Spacing(depth=0.0039), "? x 3.9 x ? um (read)"),
        (
            Spacing(0.12, 0.004, None, (Origin.USER, Origin.READ, Origin.READ)),
            "120 x 4 x ? um (bscan user, depth read, ascan unknown)",
        ),
    ],
)
def test_spacing_says_how_it_is_known(spacing, said):
    assert spacing.describe() == said


@pytest.mark.parametrize(
    ("text", "eye"),
    [
        *((word, "OD") for word in ("OD", "od", "R", "r", "Right", "RE", " R ", "R_", "_R")),
        *((word, "OS") for word in ("OS", "os", "L", "l", "LEFT", "le", "L_")),
        *((word, "unknown") for word in ("", " ", None, "B", "OU", "rechts", "O", "RL", "1")),
    ],
)
def test_which_eye_is_read_only_from_words_that_say_so(text, eye):
    assert Laterality.parse(text) == eye


def test_only_two_slow_axes_are_vertical():
    assert {axis for axis in SlowAxis if axis.is_vertical} == {
        SlowAxis.TEMPORAL_TO_NASAL,
        SlowAxis.NASAL_TO_TEMPORAL,
    }
