import numpy as np
import pytest

from octavo.errors import OctavoError
from octavo.transforms import crop
from octavo.volume import Laterality, Spacing, Volume

VOLUME = Volume(np.arange(4 * 6 * 8).reshape(4, 6, 8), Spacing(0.1, 0.004, 0.01), laterality=Laterality.OS)


def test_a_block_is_cut_out_and_everything_else_stays():
    got = crop(VOLUME, bscan=(1, 3), depth=(0, 6), ascan=(7, 8))
    np.testing.assert_array_equal(got.values, VOLUME.values[1:3, 0:6, 7:8])
    assert (got.spacing_mm, got.laterality) == (VOLUME.spacing_mm, Laterality.OS)
    np.testing.assert_array_equal(crop(VOLUME).values, VOLUME.values)


@pytest.mark.parametrize(
    ("axis", "limits", "size"),
    [
        ("bscan", (-1, 3), 4),
        ("bscan", (0, 5), 4),
        ("depth", (3, 3), 6),
        ("depth", (4, 2), 6),
        ("ascan", (8, 9), 8),
        ("ascan", (-3, -1), 8),
    ],
)
def test_what_is_empty_or_reaches_outside_is_refused(axis, limits, size):
    said = f"cannot keep {axis} {limits[0]} to {limits[1]}; wanted 0 <= first < last <= {size}"
    with pytest.raises(OctavoError) as refusal:
        crop(VOLUME, **{axis: limits})
    assert str(refusal.value) == said
