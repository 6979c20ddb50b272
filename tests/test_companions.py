import numpy as np
import pytest

from octavo.companions import Companions, EnFace, Picture, Surface
from octavo.errors import OctavoError


def test_a_surface_says_where_it_is_known_and_stays_as_it_was_read():
    depth = np.array([[3.0, np.nan, 5.5], [4.0, 4.5, np.nan]])

    surface = Surface("ILM", depth)

    assert surface.known_share == pytest.approx(4 / 6)
    with pytest.raises(ValueError, match="read-only"):
        surface.depth[0, 0] = 1.0


def test_a_surface_at_infinity_is_refused():
    with pytest.raises(OctavoError, match="'BM' has shape"):
        Surface("BM", np.array([[1.0, np.inf]]))


@pytest.mark.parametrize("shape", [(4, 5, 2), (4, 5, 4), (0, 5), (4, 0, 3)])
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(OctavoError, match="wanted rows and columns"):
        EnFace(Picture.INFRARED, np.zeros(shape, np.uint8))


def test_companions_are_described_in_the_order_of_the_file():
    companions = Companions(
        surfaces=(Surface("ILM", np.zeros((2, 3))), Surface("surface 2", np.ones((2, 3)))),
        pictures=(
            EnFace(Picture.INFRARED, np.zeros((8, 9), np.uint8), (0.01, 0.01)),
            EnFace(Picture.SLAB, np.zeros((2, 3), np.uint8), name="superficial"),
        ),
    )

    assert companions.describe() == "surfaces ILM, surface 2; infrared 8 x 9; slab superficial 2 x 3"
    assert Companions().describe() == ""
