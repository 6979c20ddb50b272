"""The table of PS3.15 and what is read from it."""

from collections import Counter

import pytest
from pydicom.datadict import dictionary_has_tag, dictionary_keyword

from octavo.errors import OctavoError
from octavo.privacy.profile import Action, Dates, Private, Profile, profile_rows

# facts of Table E.1-1 that stand there in every edition, written down by hand
KNOWN = {
    "AccessionNumber": "Z",
    "AcquisitionDate": "X/Z",
    "AcquisitionDateTime": "X/Z/D",
    "ContentDate": "Z/D",
    "ContentSequence": "D",
    "DeviceSerialNumber": "X/Z/D",
    "DeviceUID": "U",
    "EncapsulatedDocument": "D",
    "FrameOfReferenceUID": "U",
    "IconImageSequence": "X",
    "InstitutionName": "X/Z/D",
    "MediaStorageSOPInstanceUID": "U",
    "OperatorsName": "X/Z/D",
    "OriginalAttributesSequence": "X",
    "OtherPatientIDsSequence": "X",
    "PatientAge": "X",
    "PatientBirthDate": "Z",
    "PatientName": "Z",
    "PatientSex": "Z",
    "PersonName": "D",
    "ProtocolName": "X/D",
    "ReferencedImageSequence": "X/Z/U*",
    "ReferringPhysicianName": "Z",
    "SOPInstanceUID": "U",
    "SeriesDate": "X/D",
    "SeriesDescription": "X",
    "StationName": "X/Z/D",
    "StudyDate": "Z",
    "StudyID": "Z",
    "VerifyingObserverName": "D",
}


def test_the_table_is_whole_and_says_what_the_standard_says():
    rows = {row.keyword: row for row in profile_rows()}

    assert len(rows) == len(profile_rows()) == 655
    assert {name: rows[name].code for name in KNOWN} == KNOWN
    codes = Counter(row.code for row in profile_rows())
    assert set(codes) == {"X", "Z", "D", "U", "X/Z", "X/D", "Z/D", "X/Z/D", "X/Z/U*"}
    assert codes["X"] == 415


def test_keywords_are_those_of_the_dictionary():
    known = [row for row in profile_rows() if "X" not in row.tag and dictionary_has_tag(int(row.tag, 16))]

    assert len(known) >= 625
    assert all(dictionary_keyword(int(row.tag, 16)) == row.keyword for row in known)


def test_options_touch_what_their_columns_say():
    rows = {row.keyword: row for row in profile_rows()}
    shifted, device = Profile(Dates.SHIFTED), Profile(keep_device=True)

    assert rows["StudyDate"].is_shifted
    assert rows["LastMenstrualDate"].is_shifted
    assert not rows["PatientBirthDate"].is_shifted
    assert not rows["PatientBirthTime"].is_shifted
    assert rows["StationName"].is_device
    assert not rows["InstitutionName"].is_device
    assert shifted.action(0x00080020, "DA") is Action.SHIFT
    assert shifted.action(0x00100030, "DA") is Action.EMPTY
    assert shifted.action(0x00080201, "SH") is Action.KEEP
    # a clock with a count of its own holds the true date, and cannot be moved
    assert shifted.action(0x00340007, "OB") is Action.DUMMY
    assert shifted.action(0x00080020, "LO") is Action.EMPTY
    assert device.action(0x00081010, "SH") is Action.KEEP
    assert device.action(0x00080080, "LO") is Action.DUMMY


@pytest.mark.parametrize(
    ("tag", "vr", "action"),
    [
        (0x00280010, "US", Action.KEEP),
        (0x00200011, "IS", Action.KEEP),
        (0x00080016, "UI", Action.KEEP),
        (0x00081150, "UI", Action.KEEP),
        (0x0008113A, "UI", Action.NEW_UID),
        (0x4010102B, "DT", Action.DUMMY),
        (0x00140102, "DA", Action.DUMMY),
        (0x00081050, "PN", Action.REMOVE),
        (0x0040A067, "PN", Action.DUMMY),
        (0x00289999, "", Action.REMOVE),
        (0x50100010, "LO", Action.REMOVE),
        (0x60020022, "LO", Action.REMOVE),
        (0x00001000, "UI", Action.REMOVE),
        (0x04000500, "SQ", Action.REMOVE),
    ],
)
def test_what_the_table_does_not_list_is_judged_by_its_kind(tag, vr, action):
    assert Profile().action(tag, vr) is action


@pytest.mark.parametrize("text", ["0051:MAKER", "0050:MAKER:10", "MAKER", "0051::10", "0051:MAKER:1"])
def test_a_private_attribute_that_is_none_is_refused(text):
    with pytest.raises(OctavoError, match="names no private attribute; wanted its odd group"):
        Private.parse(text)


def test_codes_say_what_was_done():
    profile = Profile(Dates.SHIFTED, True, frozenset({Private.parse("0051:MAKER:10")}))

    assert [code for code, _ in Profile().codes] == ["113100"]
    assert [code for code, _ in profile.codes] == ["113100", "113107", "113109", "113111"]
