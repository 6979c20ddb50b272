from itertools import chain

import numpy as np
import pytest
import torch

from octavo.anatomy import Flips
from octavo.cohorts import dataset
from octavo.cohorts.augmentation import Augmentation
from octavo.cohorts.dataset import (
    EpochOrder,
    PreparedExams,
    class_weights,
    evaluation_batches,
    training_batches,
    validation_batches,
)
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.reference import ScanFacts
from octavo.cohorts.store import Store
from octavo.errors import OctavoError

SHAPE = (3, 4, 5)
FACTS = ScanFacts(SHAPE, (None, None, None), "raster", "unknown", "unknown", "", "OD", (0.5, 0.2, 0.2, 0.5, 0.8))
LABELS = [0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0]


@pytest.fixture
def exams(tmp_path):
    made, store = [], Store(str(tmp_path / "store"))
    for number, label in enumerate(LABELS):
        values = np.random.default_rng(number).integers(0, 256, SHAPE, dtype=np.uint8)
        voxels = store.put(f"k{number}", values, {})
        exam = Exam(f"e{number}", f"p{number}", tmp_path / f"{number}.dcm", label=label)
        made.append(PreparedExam(exam, FACTS, str(number), (), Flips(False, False), "{}", voxels))
    return made


def together(monkeypatch, processes, rank):
    monkeypatch.setattr(dataset, "processes", lambda: processes)
    monkeypatch.setattr(dataset, "rank", lambda: rank)


def indices(order, epoch):
    order.set_epoch(epoch)
    batches = list(order)
    assert len(batches) == len(order)
    assert all(at == epoch for batch in batches for at, _ in batch)
    return [[index for _, index in batch] for batch in batches]


def test_an_exam_becomes_a_tensor_with_its_label_and_name(exams):
    given = PreparedExams(exams)
    assert len(given) == len(LABELS)
    for number in range(len(exams)):
        one = given[number]
        assert one["volume"].shape == (1, *SHAPE)
        assert one["volume"].dtype == torch.float32
        np.testing.assert_array_equal(one["volume"][0].numpy(), exams[number].values() * np.float32(1 / 255))
        assert (one["label"], one["exam_id"]) == (LABELS[number], f"e{number}")


def test_the_grey_range_is_what_white_becomes(exams):
    plain, wide = PreparedExams(exams)[3]["volume"], PreparedExams(exams, grey_range=255.0)[3]["volume"]
    np.testing.assert_allclose(wide, exams[3].values()[None], atol=1e-4)
    np.testing.assert_allclose(wide, plain * 255, atol=1e-4)


def test_an_exam_without_a_label_says_so(exams):
    unlabelled = [
        PreparedExam(Exam("e", "p", one.exam.path), FACTS, "c", (), one.flips, "{}", one.voxels) for one in exams[:1]
    ]
    assert PreparedExams(unlabelled)[0]["label"] == -1


def test_variation_follows_seed_epoch_and_place_and_evaluation_has_none(exams):
    varied = PreparedExams(exams, augmentation=Augmentation(), seed=4)
    assert torch.equal(varied[(2, 3)]["volume"], varied[(2, 3)]["volume"])
    others = [varied[(3, 3)], PreparedExams(exams, augmentation=Augmentation(), seed=5)[(2, 3)]]
    for other in others:
        assert not torch.equal(varied[(2, 3)]["volume"], other["volume"])
    plain = PreparedExams(exams, seed=4)
    assert torch.equal(plain[(2, 3)]["volume"], plain[3]["volume"])


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 11, 12, 30])
def test_every_exam_comes_once_and_the_last_batch_is_filled_from_the_start(batch_size):
    order = EpochOrder(LABELS, batch_size, seed=1)
    batches = indices(order, 0)
    assert {len(batch) for batch in batches} == {batch_size}
    flat = [index for batch in batches for index in batch]
    assert sorted(flat[: len(LABELS)]) == list(range(len(LABELS)))
    filled = flat[len(LABELS) :]
    assert filled == (flat[: len(LABELS)] * 3)[: len(filled)]
    assert len(batches) == -(-len(LABELS) // batch_size)


def test_the_order_follows_seed_and_epoch_alone():
    one = EpochOrder(LABELS, 2, seed=1)
    first = [indices(one, epoch) for epoch in range(4)]
    again = EpochOrder(LABELS, 2, seed=1)
    # asked in another order, as a resumed run does
    assert [indices(again, epoch) for epoch in (3, 1)] == [first[3], first[1]]
    assert len({str(batches) for batches in first}) == 4
    assert indices(EpochOrder(LABELS, 2, seed=2), 0) != first[0]
    assert one.sampler is one


@pytest.mark.parametrize("balance", ["none", "undersample", "weighted-sampling", "weighted-loss"])
@pytest.mark.parametrize(("processes", "batch_size"), [(2, 1), (2, 3), (4, 1), (3, 2)])
def test_batches_of_all_processes_together_are_those_of_one(monkeypatch, balance, processes, batch_size):
    alone = indices(EpochOrder(LABELS, batch_size * processes, balance, seed=7), 5)
    shares = []
    for rank in range(processes):
        together(monkeypatch, processes, rank)
        shares.append(indices(EpochOrder(LABELS, batch_size, balance, seed=7), 5))
    assert {len(share) for share in shares} == {len(alone)}
    assert [list(chain(*batches)) for batches in zip(*shares, strict=True)] == alone


def test_undersampling_keeps_the_same_even_part_for_the_whole_run():
    order = EpochOrder(LABELS, 2, "undersample", seed=3)
    seen = {epoch: sorted({i for batch in indices(order, epoch) for i in batch}) for epoch in range(5)}
    assert all(kept == seen[0] for kept in seen.values())
    assert sorted(LABELS[i] for i in seen[0]) == [0, 0, 0, 1, 1, 1]
    stages = [EpochOrder(LABELS, 2, "undersample", seed=seed, balance_seed=3) for seed in range(8)]
    assert len({tuple(order.kept) for order in stages}) == 1  # a second stage learns from what the first did
    assert len({tuple(order.order(0)) for order in stages}) > 1
    others = [tuple(EpochOrder(LABELS, 2, "undersample", balance_seed=seed).kept) for seed in range(8)]
    assert len(set(others)) > 1  # which exams are left out is drawn, not the first ones


def test_weighted_sampling_draws_both_classes_alike_and_anew():
    order = EpochOrder(LABELS, 4, "weighted-sampling", seed=3)
    drawn = [order.order(epoch) for epoch in range(400)]
    share = np.mean(np.asarray(LABELS)[np.concatenate(drawn)])
    assert abs(share - 0.5) < 0.03  # 4,400 draws: four standard deviations
    assert not np.array_equal(drawn[0], drawn[1])
    assert len(drawn[0]) == 12


@pytest.mark.parametrize("balance", ["none", "weighted-loss"])
def test_other_balances_leave_the_prevalence(balance):
    flat = list(chain(*indices(EpochOrder(LABELS, 1, balance), 0)))
    assert sorted(flat) == list(range(len(LABELS)))


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1]])
def test_one_class_alone_cannot_be_balanced(labels):
    empty = 1 - labels[0]
    for balance in ("undersample", "weighted-sampling"):
        with pytest.raises(OctavoError, match=f"class {empty} is empty in the training part"):
            EpochOrder(labels, 2, balance)
    with pytest.raises(OctavoError, match=f"class {empty} is empty in the training part"):
        class_weights(labels)
    EpochOrder(labels, 2, "none")


def test_weights_make_both_classes_count_the_same():
    weights = class_weights(LABELS)
    assert weights[0] * 8 == pytest.approx(float(weights[1] * 3))
    assert sum(float(weights[label]) for label in LABELS) == pytest.approx(len(LABELS))


def test_worker_processes_change_nothing(exams):
    def batches(workers):
        order = EpochOrder(LABELS, 3, "undersample", seed=2)
        loader = training_batches(PreparedExams(exams, augmentation=Augmentation(), seed=2), order, workers)
        seen = []
        for epoch in range(2):
            order.set_epoch(epoch)
            seen += list(loader)
        return seen

    alone, helped = batches(0), batches(2)
    assert len(alone) == len(helped) == 4
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one["volume"], other["volume"])
        assert torch.equal(one["label"], other["label"])
        assert one["exam_id"] == other["exam_id"]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_that_validate_together_share_the_exams(monkeypatch, exams, processes):
    seen = []
    for rank in range(processes):
        together(monkeypatch, processes, rank)
        loader = validation_batches(PreparedExams(exams), 4)
        mine = [name for batch in loader for name in batch["exam_id"]]
        assert mine == sorted(mine, key=lambda name: int(name[1:]))
        assert len(loader.sampler) == len(mine)
        seen += mine
    assert sorted(seen) == sorted(f"e{number}" for number in range(len(exams)))


def test_evaluation_sees_every_exam_in_order_whatever_processes_there_are(monkeypatch, exams):
    together(monkeypatch, 2, 1)
    seen = [name for batch in evaluation_batches(PreparedExams(exams), 4) for name in batch["exam_id"]]
    assert seen == [f"e{number}" for number in range(len(exams))]


def test_a_process_on_its_own_is_the_first_of_one():
    assert (dataset.rank(), dataset.processes()) == (0, 1)
