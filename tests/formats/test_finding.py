import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from formats.written_scans import eye, heyex_xml, vol_bytes, write_pictures, write_series
from octavo.cli import main
from octavo.formats import VolumeReadError, files_of, find_scans, read_volume


def npy(*places):
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        np.save(place, eye())


def found(folder):
    return [os.path.relpath(scan, folder) for scan in find_scans(folder)]


def test_scans_in_a_folder_are_found_in_natural_order(tmp_path):
    vol = tmp_path / "exam.vol"
    vol.write_bytes(vol_bytes((eye().astype(np.float32) / 255) ** 4))
    np.save(tmp_path / "eye10.npy", eye())
    np.save(tmp_path / "eye9.npy", eye())
    (tmp_path / "bad.dcm").write_text("text")
    (tmp_path / "readme.md").write_text("# no scan")
    (tmp_path / ".hidden.npy").write_bytes(b"")
    np.save(tmp_path / "eye9.mask.npy", eye() > 100)
    write_pictures(tmp_path / "pictures" / "scan", eye())
    (tmp_path / "pictures" / "info.xml").write_text(heyex_xml((4, 12, 16)))
    write_series(tmp_path / "series", eye(3))

    names = ["bad.dcm", "exam.vol", "eye9.npy", "eye10.npy", "pictures/scan", "series"]
    assert find_scans(tmp_path) == [str(tmp_path / name) for name in names]
    assert find_scans(vol) == [str(vol)]
    (tmp_path / "hollow").mkdir()
    with pytest.raises(VolumeReadError, match="folder holds no scan"):
        find_scans(tmp_path / "hollow")


def test_pictures_beside_scans_hide_none_of_them(tmp_path):
    npy(tmp_path / "a.npy", tmp_path / "b.npy", tmp_path / "sub" / "d.npy")
    write_pictures(tmp_path, eye(2), "thumb{}.png", first=0)

    assert found(tmp_path) == [".", "a.npy", "b.npy", "sub/d.npy"]
    assert [len(read_volume(scan).values) for scan in find_scans(tmp_path)] == [2, 4, 4, 4]


def test_pictures_alone_are_one_scan_whatever_lies_beside_them(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    Image.new("L", (9, 9)).save(folder / "NIR.tif")
    (folder / "notes.txt").write_text("4 B-scans")

    assert found(tmp_path) == ["scan"]
    assert find_scans(folder) == [str(folder)]


def test_a_volume_of_pages_among_numbered_pictures_is_a_scan_of_its_own(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye(), "{}.png")
    pages = [Image.fromarray(page) for page in eye(3)]
    pages[0].save(folder / "whole.tif", save_all=True, append_images=pages[1:])

    assert found(folder) == [".", "whole.tif"]
    assert [len(read_volume(scan).values) for scan in find_scans(folder)] == [4, 3]


def test_folders_of_pictures_inside_one_another_are_all_found(tmp_path):
    folder = write_pictures(tmp_path / "scan", eye())
    write_pictures(folder / "older", eye(3))

    assert found(tmp_path) == ["scan", "scan/older"]


def test_dicom_frames_beside_scans_hide_none_of_them(tmp_path):
    write_series(tmp_path / "series", eye(3))
    npy(tmp_path / "series" / "a.npy", tmp_path / "series" / "deep" / "b.npy")

    assert found(tmp_path) == ["series", "series/a.npy", "series/deep/b.npy"]
    assert len(read_volume(tmp_path / "series").values) == 3


def test_previews_written_beside_the_scans_are_no_scan(tmp_path, capsys):
    npy(tmp_path / "p1.npy", tmp_path / "p2.npy")
    words = ["inspect", str(tmp_path), "--preview", str(tmp_path)]

    assert main(words) == 0
    first = capsys.readouterr().out
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert main(words) == 0
    assert capsys.readouterr().out == first
    assert found(tmp_path) == ["p1.npy", "p2.npy"]


@pytest.mark.parametrize("name", ["odd", "odd.npy", "odd.dcm", "1.tif"])
@pytest.mark.parametrize("kind", ["leads nowhere", "leads to itself", "pipe"])
def test_what_cannot_be_opened_is_refused_alone(tmp_path, name, kind):
    npy(tmp_path / "a.npy")
    odd = tmp_path / name
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(tmp_path / "nothing" if kind == "leads nowhere" else odd)

    assert sorted(found(tmp_path)) == sorted(["a.npy", name])
    with pytest.raises(VolumeReadError, match="; wanted a scan; check the path"):
        read_volume(odd)


@pytest.mark.parametrize("folder", ["series", "pictures"])
def test_a_pipe_among_frames_or_pictures_is_not_waited_for(tmp_path, folder):
    write_series(tmp_path / "series", eye(3))
    write_pictures(tmp_path / "pictures", eye(3))
    for name in ("x.dcm", "7.tif", "x"):
        os.mkfifo(tmp_path / folder / name)

    assert set(found(tmp_path)) == {"series", "pictures", *(f"{folder}/{name}" for name in ("x.dcm", "7.tif", "x"))}
    assert len(read_volume(tmp_path / folder).values) == 3


def test_a_lost_frame_of_a_series_is_not_overlooked(tmp_path):
    folder = tmp_path / "series"
    write_series(folder, eye(3))
    (folder / "gone.dcm").symlink_to(tmp_path / "nothing")

    with pytest.raises(VolumeReadError, match=r"gone\.dcm: there is no such file"):
        read_volume(folder)


@pytest.mark.parametrize("place", [".", "torn"])
def test_a_damaged_frame_does_not_stop_its_neighbours(tmp_path, place):
    npy(tmp_path / "a.npy", tmp_path / "z.npy")
    frames = write_series(tmp_path / place, eye(3))
    frames[0].write_bytes(frames[0].read_bytes()[:170])

    assert found(tmp_path) == ([".", "a.npy", "z.npy"] if place == "." else ["a.npy", "torn", "z.npy"])
    with pytest.raises(VolumeReadError, match=frames[0].name):
        read_volume(tmp_path / place)


def test_a_folder_that_may_not_be_listed_does_not_stop_the_others(tmp_path, monkeypatch):
    npy(tmp_path / "a.npy", tmp_path / "closed" / "b.npy")
    listed = Path.iterdir

    def iterdir(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert found(tmp_path) == ["a.npy", "closed"]
    with pytest.raises(VolumeReadError, match="closed: may not be read"):
        read_volume(tmp_path / "closed")


def test_a_scan_knows_its_files(tmp_path):
    npy(tmp_path / "a.npy")
    folder = write_pictures(tmp_path / "scan", eye(3), "{}.png")
    Image.new("L", (9, 9)).save(folder / "overview.png")
    npy(folder / "b.npy")

    assert files_of(tmp_path / "a.npy") == files_of(f"{tmp_path}/a.npy#1") == [tmp_path / "a.npy"]
    assert files_of(folder) == [folder / f"{number}.png" for number in (1, 2, 3)]
    frames = write_series(tmp_path / "series", eye(3))
    npy(tmp_path / "series" / "b.npy")
    assert files_of(tmp_path / "series") == sorted(frames)
