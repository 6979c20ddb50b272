import json
import os
import subprocess
import sys

import pytest

from octavo.errors import OctavoError
from octavo.files import atomic_writer, read_json, sweep_half_written, write_bytes, write_json, write_text


def names(folder):
    return sorted(entry.name for entry in folder.rglob("*"))


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    write_text(tmp_path / "a" / "b" / "note.txt", "Größe γ\n")
    assert (tmp_path / "a" / "b" / "note.txt").read_bytes() == "Größe γ\n".encode()
    assert names(tmp_path) == ["a", "b", "note.txt"]


def test_readers_see_the_old_file_until_all_is_written(tmp_path):
    path = tmp_path / "model"
    write_bytes(path, b"old")
    with atomic_writer(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_error_in_the_middle_keeps_what_was_there(tmp_path, kind, old):
    path = tmp_path / "model"
    if old is not None:
        path.write_bytes(old)

    def write_half():
        with atomic_writer(path) as file:
            file.write(b"half")
            raise kind

    with pytest.raises(kind):
        write_half()
    assert names(tmp_path) == ([] if old is None else ["model"])
    assert old is None or path.read_bytes() == old


def test_json_that_cannot_be_written_changes_nothing(tmp_path):
    path = tmp_path / "found.json"
    write_json(path, {"auroc": 0.5})
    for impossible in ({"auroc": float("nan")}, {"auroc": float("inf")}, {"auroc": object()}):
        with pytest.raises((ValueError, TypeError)):
            write_json(path, impossible)
    assert read_json(path) == {"auroc": 0.5}
    assert names(tmp_path) == ["found.json"]


def test_a_killed_writer_leaves_the_old_file_and_its_rest_is_swept(tmp_path):
    path = tmp_path / "deep" / "model"
    write_bytes(path, b"old")
    dying = (
        "import os, sys; from pathlib import Path; from octavo.files import atomic_writer\n"
        "with atomic_writer(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
    )
    killed = subprocess.run([sys.executable, "-c", dying, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 3
    sweep_half_written(tmp_path)
    assert names(tmp_path) == ["deep", "model"]


def test_a_half_copied_folder_is_swept_too(tmp_path):
    (tmp_path / "stage-1.tmp-copy" / "checkpoints").mkdir(parents=True)
    (tmp_path / "stage-1.tmp-copy" / "metrics.csv").write_text("half")
    (tmp_path / "stage-1.tmp-copy" / "model.tmp-7").write_text("half")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "model").write_text("whole")
    (tmp_path / "link.tmp-9").symlink_to(tmp_path / "kept")
    sweep_half_written(tmp_path)
    assert names(tmp_path) == ["kept", "model"]


def test_folders_made_for_a_file_that_was_not_written_go_too(tmp_path):
    (tmp_path / "old").mkdir()

    def refuse(path):
        with atomic_writer(path):
            raise RuntimeError

    for name in ("new/deep/eye.nii", "old/deep/eye.nii", "old/eye.nii"):
        with pytest.raises(RuntimeError):
            refuse(tmp_path / name)
        assert names(tmp_path) == ["old"]
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        refuse(tmp_path / "file" / "deep" / "eye.nii")
    assert names(tmp_path) == ["file", "old"]


def test_a_name_that_is_not_utf8_is_refused_in_one_line(tmp_path):
    odd = b"Gr\xfcn.npy".decode(errors="surrogateescape")
    for write, content in ((write_text, f"a,b\n{odd},1\n"), (write_json, {"path": odd})):
        with pytest.raises(
            OctavoError, match=r"out: would hold '.*Gr\\udcfcn\.npy.*; wanted names that are; rename"
        ) as no:
            write(tmp_path / "out", content)
        assert str(no.value).isprintable()
        str(no.value).encode()
    assert names(tmp_path) == []


def test_json_comes_back_as_it_was_written_and_is_for_people(tmp_path):
    path = tmp_path / "recipe.json"
    content = {"second": [1, 2.5, None, True], "first": {"größe": "γ"}}
    write_json(path, content)
    assert read_json(path) == content
    text = path.read_text(encoding="utf-8")
    assert text.index("second") < text.index("first")
    assert "größe" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"", "cannot be read as JSON"),
        (b"{'a': 1}", "cannot be read as JSON"),
        (b'{"a": 1', "cannot be read as JSON"),
        (b'{"a": "\xff"}', "cannot be read as JSON"),
        (b"[" * 200_000, "cannot be read as JSON"),
        (b"[1, 2]", "holds a list; wanted a JSON object"),
        (b"3", "holds a int; wanted a JSON object"),
        (b"null", "holds a NoneType; wanted a JSON object"),
    ],
)
def test_what_is_no_json_object_is_refused_in_one_line(tmp_path, content, says):
    path = tmp_path / "recipe.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OctavoError, match=r"recipe\.json: ") as refusal:
        read_json(path)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_folder_in_the_place_of_a_json_file_is_refused(tmp_path):
    with pytest.raises(OctavoError, match="wanted a JSON object"):
        read_json(tmp_path)


def test_json_in_a_file_is_what_json_says(tmp_path):
    write_json(tmp_path / "a.json", {"x": [0.1, 1e-300]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [0.1, 1e-300]}
    assert os.listdir(tmp_path) == ["a.json"]
