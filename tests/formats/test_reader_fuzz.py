"""Damaged files of every format: a sentence or a plausible volume, never another exception, a hang or a crash."""

import pytest

from contracts.test_readers import CASES, SALVAGED
from formats.more_seeds import MORE, damaged_file
from formats.mutants import attack, mutants_asked


@pytest.mark.parametrize(("name", "write"), CASES + MORE)
def test_a_mutant_gives_a_sentence_or_a_plausible_volume(name, write, tmp_path):
    path = write(tmp_path)
    file = damaged_file(path)
    # frames of JPEG-LS are decoded in a process each
    reduced = 8 if file.read_bytes().count(b"\xff\xd8\xff\xf7") else 60
    count = mutants_asked(reduced)

    outcome = attack(path, count, file=file)

    assert outcome.died == ""
    assert outcome.wrong == ()
    assert outcome.read + outcome.refused == count
    # a chunk that is lost costs that chunk, so that most damage leaves something to read
    assert outcome.refused >= (0 if name in SALVAGED else count // 6)
