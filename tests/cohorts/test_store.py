import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from octavo.cohorts.store import Store, described, is_address, is_store
from octavo.errors import OctavoError

VOXELS = np.random.default_rng(5).integers(0, 256, (4, 6, 8), dtype=np.uint8)


@pytest.fixture
def store(tmp_path):
    store = Store(str(tmp_path / "store"))
    store.put("one", VOXELS, {"eye": "OD"})
    return store


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_what_is_put_comes_back_mapped(tmp_path, dtype):
    values = (VOXELS.astype(dtype) * (257 if dtype == "uint16" else 1)).astype(dtype)
    store = Store(str(tmp_path / "store"))

    store.put("exam", values, {"millimetres": [0.1, None]})
    voxels, facts = store.facts("exam")

    got = voxels.read()
    assert isinstance(got, np.memmap)
    assert got.dtype.name == dtype
    np.testing.assert_array_equal(got, values)
    assert facts == {"millimetres": [0.1, None]}


def test_any_zarr_reader_opens_it(store):
    import zarr

    group = zarr.open_group(store.address, mode="r")
    array = group["exams/one"]

    assert array.metadata.zarr_format == 3
    assert array.chunks == array.shape == VOXELS.shape
    assert array.metadata.dimension_names == ("bscan", "depth", "ascan")
    np.testing.assert_array_equal(array[...], VOXELS)


def test_a_black_exam_is_stored_as_such(tmp_path):
    store = Store(str(tmp_path / "store"))

    store.put("dark", np.zeros((2, 3, 4), np.uint8), {})

    assert store.holds("dark")
    assert store.facts("dark")[0].read().sum() == 0


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_an_exam_cut_short_is_not_there(store, cut):
    chunk = store.address + "/exams/one/c.0.0.0"
    with open(chunk, "r+b") as file:
        file.truncate(cut)

    assert not store.holds("one")
    with pytest.raises(OctavoError, match="missing or cut short"):
        store.facts("one")[0].read()


def test_one_that_another_process_stored_meanwhile_stays(store):
    store.put("one", VOXELS // 2, {"eye": "OS"})

    voxels, facts = store.facts("one")
    np.testing.assert_array_equal(voxels.read(), VOXELS)
    assert facts == {"eye": "OD"}
    assert sorted(os.listdir(store.address + "/exams")) == ["one", "zarr.json"]


def test_a_full_disk_is_said_and_leaves_nothing_half(store, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OctavoError, match="No space left on device"):
        store.put("two", VOXELS, {})
    assert sorted(os.listdir(store.address + "/exams")) == ["one", "zarr.json"]


def test_the_journal_survives_a_line_that_was_cut(store):
    store.note("stamp-a", "one")
    with open(store.address + "/packed.jsonl", "ab") as file:
        file.write(b'\n{"scan": "stamp-b", "ke')
    store.note("stamp-c", "two")

    assert store.journal() == {"stamp-a": "one", "stamp-c": "two"}


def test_many_processes_write_at_once(tmp_path):
    program = (
        "import os, sys, zarr, numpy as np; from octavo.cohorts.store import Store\n"
        "store = Store(sys.argv[1])\n"
        "while not os.path.exists(sys.argv[2]): pass\n"
        "for k in range(12):\n"
        "    store.put(f'e{k}', np.full((2, 3, 4), k + 1, np.uint8), {'k': k}); store.note(f's{k}', f'e{k}')\n"
    )
    place = str(tmp_path / "store")
    whistle = tmp_path / "whistle"
    running = [subprocess.Popen([sys.executable, "-c", program, place, str(whistle)]) for _ in range(3)]
    time.sleep(3)
    whistle.touch()

    assert [process.wait(120) for process in running] == [0, 0, 0]
    store = Store(place)
    assert store.journal() == {f"s{k}": f"e{k}" for k in range(12)}
    assert all((store.facts(f"e{k}")[0].read() == k + 1).all() for k in range(12))
    assert len(os.listdir(place + "/exams")) == 13


@pytest.fixture
def served(store):
    """The store behind HTTP, as an object store shows it."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=store.address)
    handler.log_message = lambda *told: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_it_is_read_from_an_address(store, served):
    store.write_cohort(described({"exams": []}))

    far = Store(served)

    assert far.read_cohort()["exams"] == []
    np.testing.assert_array_equal(far.facts("one")[0].read(), VOXELS)


def test_a_damaged_chunk_fetched_from_an_address_is_refused(store, served):
    voxels, _ = Store(served).facts("one")
    chunk = Path(store.address, "exams/one/c.0.0.0")
    content = bytearray(chunk.read_bytes())
    content[7] ^= 1
    chunk.write_bytes(content)

    with pytest.raises(OctavoError, match="cannot be fetched"):
        voxels.read()


def test_voxels_missing_behind_an_address_are_no_zeros(store, served):
    voxels, _ = Store(served).facts("one")
    Path(store.address, "exams/one/c.0.0.0").unlink()

    with pytest.raises(OctavoError, match="cannot be fetched"):
        voxels.read()


def test_an_address_where_nobody_answers_is_one_sentence():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    # over HTTP nothing tells a server that is away from a file that is
    with pytest.raises(OctavoError, match="holds no packed cohort"):
        Store(f"http://127.0.0.1:{port}").read_cohort()
    with pytest.raises(OctavoError, match="wanted an address that fsspec knows"):
        Store("no-such-kind://bucket/cohort").read_cohort()


def test_an_address_is_not_written_to():
    with pytest.raises(OctavoError, match="is an address"):
        Store("memory://cohort").put("one", VOXELS, {})


def test_a_store_is_told_from_a_manifest(store, tmp_path):
    (tmp_path / "manifest.csv").write_text("exam_id\n")

    assert is_store(store.address)
    assert is_store("s3://bucket/cohort")
    assert is_address("s3://bucket/cohort")
    assert not is_store(tmp_path / "manifest.csv")
    assert not is_store(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"codecs": [{"name": "bytes"}, {"name": "gzip"}]}, "described otherwise"),
        ({"data_type": "float32"}, "described otherwise"),
        ({"shape": [4, 6]}, "described otherwise"),
        ({"attributes": None}, "has no description"),
    ],
)
def test_an_exam_that_octavo_did_not_write_is_refused(store, change, said):
    path = Path(store.address, "exams", "one", "zarr.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))

    with pytest.raises(OctavoError, match=said):
        store.facts("one")


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"exams": []}', b'{"octavo_store": 99}'])
def test_a_store_without_a_whole_cohort_is_refused(store, content):
    with pytest.raises(OctavoError, match="holds no packed cohort"):
        store.read_cohort()
    with open(store.address + "/cohort.json", "wb") as file:
        file.write(content)
    with pytest.raises(OctavoError, match=r"cohort\.json is (damaged|of another version)"):
        store.read_cohort()


def zeroed(store, key):
    chunk = Path(store.address, "exams", key, "c.0.0.0")
    chunk.write_bytes(bytes(20) + chunk.read_bytes()[20:])


def test_voxels_that_do_not_agree_with_their_checksum_are_refused(store):
    voxels, _ = store.facts("one")
    voxels.read()
    zeroed(store, "one")

    assert not store.holds("one")
    with pytest.raises(OctavoError, match=r"voxels of one do not agree with their checksum; .*; pack the cohort again"):
        voxels.read()


def test_a_checksum_is_looked_at_once(store, monkeypatch):
    import google_crc32c

    seen, extend = [], google_crc32c.extend
    monkeypatch.setattr(google_crc32c, "extend", lambda crc, step: (seen.append(len(step)), extend(crc, step))[1])
    voxels, _ = store.facts("one")
    for _ in range(3):
        voxels.read()
        assert store.holds("one")
    assert seen == [VOXELS.nbytes]


@pytest.mark.parametrize("damage", ["zeroed", "cut", "undescribed"])
def test_what_is_damaged_is_stored_again(store, damage):
    folder = Path(store.address, "exams", "one")
    if damage == "zeroed":
        zeroed(store, "one")
    else:
        (folder / ("c.0.0.0" if damage == "cut" else "zarr.json")).write_bytes(b"{")

    store.put("one", VOXELS, {"eye": "OD"})

    assert store.holds("one")
    np.testing.assert_array_equal(store.facts("one")[0].read(), VOXELS)
    assert sorted(os.listdir(store.address + "/exams")) == ["one", "zarr.json"]
