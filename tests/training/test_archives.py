"""Torch archives hold tensors and plain values, or they are refused without being run."""

import pickle
import zipfile

import pytest
import torch

from octavo.errors import OctavoError
from octavo.training.archives import load_archive


class Evil:
    """Unpickled, it leaves a mark on the disk."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def refusal(path):
    with pytest.raises(OctavoError) as refused:
        load_archive(path)
    message = str(refused.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def test_tensors_and_plain_values_come_back(tmp_path):
    content = {"weights": {"a": torch.arange(3.0)}, "epoch": 3, "names": ["x"], "value": 0.5, "none": None}
    torch.save(content, tmp_path / "a.ckpt")
    back = load_archive(tmp_path / "a.ckpt")
    assert torch.equal(back.pop("weights")["a"], content.pop("weights")["a"])
    assert back == content


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_archives_that_would_run_code_are_refused_and_not_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Evil(mark)}, tmp_path / "evil.ckpt")
    torch.save({"state_dict": Evil(mark)}, tmp_path / "old.ckpt", _use_new_zipfile_serialization=False)
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Evil(mark)))
    for name in ("evil.ckpt", "old.ckpt", "bare.ckpt"):
        assert "torch archive" in refusal(tmp_path / name)
    assert not mark.exists()
    torch.load(tmp_path / "evil.ckpt", weights_only=False)["extra"].close()
    assert mark.exists(), "the archive must have been dangerous for this test to mean anything"


def test_a_model_pickled_whole_is_refused(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    assert "torch archive" in refusal(tmp_path / "model.pt")


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_archive_is_refused(tmp_path, kept):
    path = tmp_path / "cut.ckpt"
    torch.save({"a": torch.zeros(1000)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    refusal(path)


def test_whatever_is_no_archive_of_a_dictionary_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "missing.ckpt")
    (tmp_path / "text.ckpt").write_text("epoch 3\n")
    refusal(tmp_path / "text.ckpt")
    with zipfile.ZipFile(tmp_path / "other.ckpt", "w") as archive:
        archive.writestr("readme.txt", "no tensors")
    refusal(tmp_path / "other.ckpt")
    torch.save([torch.zeros(1)], tmp_path / "list.ckpt")
    assert "holds a list; wanted a dictionary" in refusal(tmp_path / "list.ckpt")
    (tmp_path / "folder.ckpt").mkdir()
    refusal(tmp_path / "folder.ckpt")
