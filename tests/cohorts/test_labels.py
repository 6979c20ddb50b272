"""Labels that are names: two of many, and more than two."""

import logging

import pytest

from octavo.cohorts import read_manifest
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.labels import LabelNames
from octavo.errors import OctavoError

HEADER = "exam_id,patient_id,path,laterality,label"
PAIR = {"positive": "AD", "negative": "NL"}
NAMES = ("NL", "MCI", "AD", "NL", "AD", "MCI", "MCI")


@pytest.fixture
def adni(tmp_path):
    rows = [f"e{number},p{number},{number}.npy,OD,{name}" for number, name in enumerate(NAMES)]
    path = tmp_path / "adni.csv"
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    return path


def of_labels(path, *labels):
    rows = [f"e{number},p{number},{number}.npy,OD,{name}" for number, name in enumerate(labels)]
    path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
    return path


def refusal(path, **said):
    with pytest.raises(OctavoError) as caught:
        read_manifest(path, **said)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("positive", ["NL", "MCI", "AD"])
@pytest.mark.parametrize("negative", ["NL", "MCI", "AD"])
def test_a_pair_is_what_bears_its_names_and_nothing_else(adni, positive, negative):
    if positive == negative:
        assert "are both" in refusal(adni, positive=positive, negative=negative)
        return
    cohort = read_manifest(adni, positive=positive, negative=negative)
    assert [(exam.exam_id, exam.label) for exam in cohort.exams] == [
        (f"e{number}", int(name == positive)) for number, name in enumerate(NAMES) if name in {positive, negative}
    ]
    (other,) = {"NL", "MCI", "AD"} - {positive, negative}
    assert cohort.left_out == {other: NAMES.count(other)}
    assert cohort.class_count == 2


def test_a_pair_says_what_it_left_out(adni, caplog):
    with caplog.at_level(logging.INFO, "octavo"):
        read_manifest(adni, positive="AD", negative="NL")
    assert caplog.messages == ["adni.csv: exams left out by --positive AD --negative NL: 3 of MCI"]
    caplog.clear()
    read_manifest(adni, classes=("NL", "MCI", "AD"))
    assert caplog.messages == []


def test_a_pair_is_the_cohort_of_a_manifest_that_holds_no_other(adni, tmp_path):
    alone = tmp_path / "alone.csv"
    lines = [line for line in adni.read_text(encoding="utf-8").splitlines() if not line.endswith("MCI")]
    alone.write_text("\n".join(lines), encoding="utf-8")
    pair, two = read_manifest(adni, positive="AD", negative="NL"), read_manifest(alone, positive="AD")
    assert pair.exams == two.exams
    assert pair.content_hash == two.content_hash


def test_classes_are_numbered_in_the_order_they_are_named_in(adni):
    cohort = read_manifest(adni, classes=("NL", "MCI", "AD"))
    assert cohort.labels.tolist() == [0, 1, 2, 0, 2, 1, 1]
    assert (cohort.classes, cohort.class_count) == (("NL", "MCI", "AD"), 3)
    turned = read_manifest(adni, classes=("AD", "MCI", "NL"))
    assert turned.labels.tolist() == [2, 1, 0, 2, 0, 1, 1]
    assert len({cohort.content_hash, turned.content_hash}) == 2


def test_what_classes_mean_is_part_of_the_fingerprint(tmp_path):
    hashes = []
    for last in ("AD", "FTD"):
        path = tmp_path / "cohort.csv"
        rows = [f"e{number},p{number},{number}.npy,OD,{name}" for number, name in enumerate(("NL", "MCI", last))]
        path.write_text("\n".join([HEADER, *rows]), encoding="utf-8")
        hashes.append(read_manifest(path, classes=("NL", "MCI", last)).content_hash)
    assert hashes[0] != hashes[1]


def test_names_that_are_numbers_are_classes_too(tmp_path):
    path = tmp_path / "grades.csv"
    path.write_text("\n".join([HEADER, *(f"e{k},p{k},{k}.npy,OD,{k % 4}" for k in range(8))]), encoding="utf-8")
    assert read_manifest(path, classes=("0", "1", "2", "3")).labels.tolist() == [0, 1, 2, 3] * 2


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"negative": "NL"}, "--negative is 'NL' and there is no --positive; wanted both"),
        ({"positive": "AD", "negative": "Nl"}, "'Nl' is not a label of any exam; wanted one of: AD, MCI, NL"),
        ({"positive": "EMCI", "negative": "NL"}, "did you mean 'MCI'?"),
        ({"positive": "AD"}, "3 names ('AD', 'MCI', 'NL'); wanted exactly two"),
        ({"positive": "AD"}, "leave the others out with --negative NAME"),
        ({"classes": ("NL",)}, "--classes is NL; wanted 3 or more names; for two classes pass --positive NAME"),
        ({"classes": ("NL", "AD")}, "wanted 3 or more names"),
        ({"classes": ("NL", "MCI", "MCI")}, "--classes names 'MCI' more than once"),
        ({"classes": ("NL", "MCI", "FTD")}, "line 4, column 'label': 'AD' is not a class; wanted one of: NL, MCI, FTD"),
        ({"classes": ("NL", "MCI", "AD", "EMCI")}, "'EMCI' is not a label of any exam; wanted one of: AD, MCI, NL"),
        ({"classes": ("NL", "MCI", "AD"), "positive": "AD"}, "--positive and --classes were both given"),
        ({"classes": ("NL", "MCI", "AD"), "negative": "AD"}, "--negative and --classes were both given"),
        ({}, "pass --positive NAME --negative NAME, or --classes with all names in order (they are 'AD', 'MCI', 'NL')"),
    ],
)
def test_names_that_do_not_fit_are_refused(adni, said, says):
    assert says in refusal(adni, **said)


def test_prediction_needs_not_every_class(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text(f"{HEADER}\ne0,p0,0.npy,OD,AD\ne1,p1,1.npy,OD,\n", encoding="utf-8")
    cohort = read_manifest(path, classes=("NL", "MCI", "AD"), require_labels=False)
    assert [exam.label for exam in cohort.exams] == [2, None]
    pair = read_manifest(path, positive="AD", negative="NL", require_labels=False)
    assert [exam.label for exam in pair.exams] == [1, None]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("of_model", [True, False])
@pytest.mark.parametrize(
    ("label", "meant", "option"),
    [
        ("nl", "NL", "negative"),
        ("Nl", "NL", "negative"),
        ("N-L", "NL", "negative"),
        ("a_d", "AD", "positive"),
        ("A D", "AD", "positive"),
        ("A\u2013D", "AD", "positive"),
    ],
)
def test_another_spelling_of_a_pairs_name_is_not_left_out(tmp_path, label, meant, option, required, of_model):
    path = of_labels(tmp_path / "m.csv", "NL", "AD", "MCI", label)
    message = refusal(path, **PAIR, require_labels=required, of_model=of_model)
    said = (
        f"m.csv, line 5, column 'label': is {label!r}, another spelling of {meant!r}, as --{option} says; wanted one; "
    )
    assert message == f"{said}write it {meant!r}"


def test_the_encoding_and_the_digits_of_a_name_are_spelling_too(tmp_path):
    path = of_labels(tmp_path / "m.csv", "Zo\u00eb", "NL", "Zoe\u0308", "MCI")
    assert "line 4" in refusal(path, positive="Zo\u00eb", negative="NL")
    grades = of_labels(tmp_path / "grades.csv", "0", "1", "2", "1.0")
    assert "line 5, column 'label': is '1.0', another spelling of '1'" in refusal(grades, positive="1", negative="0")
    missing = of_labels(tmp_path / "missing.csv", "0", "1", "-1")
    assert read_manifest(missing, positive="1", negative="0").left_out == {"-1": 1}


def test_of_two_names_none_is_another_spelling_of_the_positive(tmp_path):
    path = of_labels(tmp_path / "m.csv", "AD", "ad", "AD")
    for required in (True, False):
        assert "line 3" in refusal(path, positive="AD", require_labels=required)
    alone = of_labels(tmp_path / "alone.csv", "AD", "AD")
    assert "is 'AD', another spelling of 'Ad'" in refusal(alone, positive="Ad", require_labels=False)


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(
    ("said", "got", "meant"),
    [
        ({"positive": "Ad", "negative": "NL"}, "Ad", "AD"),
        ({"positive": "ad", "negative": "nl"}, "nl", "NL"),
        ({"positive": "AD", "negative": "N L"}, "N L", "NL"),
    ],
)
def test_a_misspelt_option_is_told_what_stands_there(adni, said, got, meant, required):
    message = refusal(adni, **said, require_labels=required)
    assert f"{got!r} is not a label of any exam; wanted one of: AD, MCI, NL; did you mean {meant!r}?" in message


def test_where_no_label_is_needed_exams_of_neither_class_stay_without_one(adni, caplog):
    with caplog.at_level(logging.INFO, "octavo"):
        cohort = read_manifest(adni, **PAIR, require_labels=False)
    assert [exam.label for exam in cohort.exams] == [{"NL": 0, "AD": 1}.get(name) for name in NAMES]
    assert cohort.left_out == {}
    said = "adni.csv: exams without a label, as of neither --positive AD --negative NL: 3 of MCI"
    assert caplog.messages == [said]


def test_names_that_a_model_knows_need_no_exam_that_bears_them(tmp_path):
    others = of_labels(tmp_path / "m.csv", "NL", "MCI")
    assert "'AD' is not a label of any exam" in refusal(others, **PAIR, require_labels=False)
    known = {**PAIR, "require_labels": False, "of_model": True}
    assert [exam.label for exam in read_manifest(others, **known).exams] == [0, None]
    numbers = of_labels(tmp_path / "numbers.csv", "1", "0", "")
    assert [exam.label for exam in read_manifest(numbers, **known).exams] == [1, 0, None]
    mixed = of_labels(tmp_path / "mixed.csv", "1", "NL")
    assert [exam.label for exam in read_manifest(mixed, **known).exams] == [None, 0]


def test_a_cohort_knows_the_names_of_its_two_classes(adni, tmp_path):
    assert read_manifest(adni, **PAIR).pair == ("NL", "AD")
    assert read_manifest(of_labels(tmp_path / "two.csv", "POAG", "Normal"), positive="Normal").pair == (
        "POAG",
        "Normal",
    )
    assert read_manifest(of_labels(tmp_path / "numbers.csv", "1", "0")).pair == ()
    assert read_manifest(adni, classes=("NL", "MCI", "AD")).pair == ()


def test_options_are_said_as_they_are_passed():
    assert LabelNames(classes=("NL", "MCI", "AD")).said == "--classes NL MCI AD"
    assert LabelNames().said == ""


def test_a_choice_hands_names_on(adni):
    assert CohortChoice(str(adni), positive="AD", negative="MCI").read().left_out == {"NL": 2}
    assert CohortChoice(str(adni), classes=("NL", "MCI", "AD")).read().class_count == 3
