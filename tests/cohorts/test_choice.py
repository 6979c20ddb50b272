import numpy as np
import pytest

from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError


def written(tmp_path, text):
    np.save(tmp_path / "a.npy", np.arange(24.0).reshape(2, 4, 3))
    (tmp_path / "cohort.csv").write_text(text)
    return tmp_path / "cohort.csv"


def test_every_choice_reaches_the_manifest(tmp_path):
    path = written(tmp_path, "exam_id,path,laterality,label\ne1,a.npy,R,POAG\ne2,b.npy,L,Normal\n")
    choice = CohortChoice(
        str(path), positive="POAG", each_row_its_own_patient=True, axes="depth,bscan,ascan", key="data"
    )
    cohort = choice.read()
    assert [exam.label for exam in cohort.exams] == [1, 0]
    assert {(exam.axes, exam.key) for exam in cohort.exams} == {("depth,bscan,ascan", "data")}
    assert cohort.each_row_its_own_patient
    assert cohort.patients == ("e1", "e2")


def test_patients_and_labels_are_wanted_unless_declared_otherwise(tmp_path):
    path = written(tmp_path, "exam_id,path,laterality,label\ne1,a.npy,R,1\ne2,b.npy,L,0\n")
    with pytest.raises(OctavoError, match="column 'patient_id' is missing"):
        CohortChoice(str(path)).read()
    path = written(tmp_path, "exam_id,patient_id,path,laterality,label\ne1,p1,a.npy,R,\n")
    with pytest.raises(OctavoError, match="wanted a label for every exam"):
        CohortChoice(str(path)).read()
