"""Files of boundaries that lie beside a single B-scan, and whose they are."""

import numpy as np
import pytest

from formats.written_matlab import write_mat5
from octavo.formats import read_companions

BSCAN = np.add.outer(np.arange(32.0), np.arange(40.0))
LEFT_OUT = "a file of boundaries beside the scan may be of another scan and is left out"


def scan(folder, name: str):
    return write_mat5(folder / name, {"scan": BSCAN})


def boundaries(folder, name: str, depth: float = 9.0):
    return write_mat5(folder / name, {"interpolation": np.full((2, 40), depth)})


def drawn(path) -> tuple[float, ...]:
    return tuple(float(surface.depth[0, 0]) + 1 for surface in read_companions(path).surfaces)


def test_each_scan_has_the_boundaries_that_are_called_after_it(tmp_path):
    for side, depth in (("OD", 5.0), ("OS", 7.0)):
        scan(tmp_path, f"P1_{side}.mat")
        boundaries(tmp_path, f"P1_{side}_boundaries.mat", depth)

    assert drawn(tmp_path / "P1_OD.mat") == (5.0, 5.0)
    assert drawn(tmp_path / "P1_OS.mat") == (7.0, 7.0)


def test_the_boundaries_of_one_eye_are_not_laid_on_the_other(tmp_path):
    boundaries(tmp_path, "P1_OD_boundaries.mat")
    left = scan(tmp_path, "P1_OS.mat")
    # alone with them: their names say two eyes
    assert (drawn(left), read_companions(left).notes) == ((), (LEFT_OUT,))

    right = scan(tmp_path, "P1_OD.mat")

    assert drawn(right) == (9.0, 9.0)
    assert (drawn(left), read_companions(left).notes) == ((), (LEFT_OUT,))


@pytest.mark.parametrize(
    "others", [["circular_scan_2.mat"], ["circular_2_boundaries.mat"], ["circular.mat", "circular_1.mat"]]
)
def test_the_first_word_is_enough_only_where_no_third_file_begins_so(tmp_path, others):
    boundaries(tmp_path, "circular_boundaries.mat")
    path = scan(tmp_path, "circular_scan.mat")
    assert drawn(path) == (9.0, 9.0)

    for name in others:
        (boundaries if "boundaries" in name else scan)(tmp_path, name)

    assert (drawn(path), read_companions(path).notes) == ((), (LEFT_OUT,))


def test_scans_without_any_boundaries_say_nothing(tmp_path):
    path = scan(tmp_path, "P1_OD.mat")
    scan(tmp_path, "P1_OS.mat")

    assert (drawn(path), read_companions(path).notes) == ((), ())
