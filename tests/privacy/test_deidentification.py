"""De-identification: every row of the table at every depth, and what stands beside the attributes."""

import datetime

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless

from formats.written_scans import OPT, eye, opt_dataset, write_dicom
from octavo.formats import VolumeReadError, read_volume
from octavo.formats.errors import refusing
from octavo.privacy.deidentification import MAX_DEPTH, deidentify_dataset, deidentify_file, shift_date
from octavo.privacy.profile import Dates, Private, Profile, profile_rows
from octavo.privacy.pseudonyms import Pseudonyms
from privacy.written_identities import (
    BIRTH_DATE,
    DATE,
    TIME,
    UID,
    forms,
    listed_tags,
    nest,
    plant_everything,
    token,
    value_for,
    vr_of,
)

PSEUDONYMS = Pseudonyms(bytes(range(32)))
DEPTHS = range(5)
RESOLVED = {"X/Z": "Z", "X/D": "D", "Z/D": "D", "X/Z/D": "D", "X/Z/U*": "U"}


def full_dataset():
    """An image with every attribute of the table at depth 0 to 4."""
    dataset = opt_dataset(eye())
    item = dataset
    for depth in DEPTHS:
        plant_everything(item, depth)
        item = nest(item, 1)
    dataset.SOPClassUID, dataset.PatientID, dataset.PatientBirthDate = OPT, "ID-4711", BIRTH_DATE
    return dataset


def cleaned(path, profile=Profile(), **options):  # noqa: B008 - frozen
    with refusing(str(path), "a DICOM file"):
        found = deidentify_file(path, PSEUDONYMS, profile, **options)
    target = path.with_name("clean.dcm")
    target.write_bytes(found.content)
    return target


def cleaned_of_all(path, profile=Profile()):  # noqa: B008 - frozen
    """As `cleaned`, for a data set that no real object is: it is an image and a document at once."""
    dataset = dcmread(path)
    deidentify_dataset(dataset, PSEUDONYMS, profile)
    target = path.with_name("clean.dcm")
    dataset.save_as(target, enforce_file_format=True)
    return target


def items(dataset):
    for _ in DEPTHS:
        yield dataset
        dataset = dataset.SharedFunctionalGroupsSequence[0]


def is_empty(element):
    return element.is_empty or element.value in (None, "", [])


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    return write_dicom(tmp_path_factory.mktemp("full") / "full.dcm", full_dataset())


def test_every_row_of_the_table_is_followed_at_every_depth(everything):
    before, after = dcmread(everything), dcmread(cleaned_of_all(everything))

    checked = 0
    for depth, (old, new) in enumerate(zip(items(before), items(after), strict=True)):
        for tag, row in listed_tags():
            if tag >> 16 < 4:
                continue
            code = RESOLVED.get(row.code, row.code)
            assert tag in old, row
            checked += 1
            if code == "X":
                assert tag not in new, (row, depth)
                continue
            assert tag in new, (row, depth)
            if code == "Z":
                assert is_empty(new[tag]), (row, depth)
            elif code == "U" and vr_of(tag) == "SQ":
                assert new[tag].value[0].ReferencedSOPInstanceUID == PSEUDONYMS.uid(f"{UID}.7.{tag}")
            elif code == "U":
                assert new[tag].value == PSEUDONYMS.uid(value_for(tag, "UI", depth)), (row, depth)
            else:
                assert not is_empty(new[tag]), (row, depth)
                assert new[tag].value != old[tag].value, (row, depth)
    wild = sum("X" in row.tag for row in profile_rows())
    own_groups = sum(tag >> 16 < 4 for tag, _ in listed_tags())
    assert checked == len(DEPTHS) * (len(profile_rows()) - wild - own_groups)
    assert (wild, own_groups) == (3, 3)


def test_rows_of_commands_and_of_the_files_own_group_are_followed(everything):
    dataset = dcmread(everything)
    for tag in (0x00001000, 0x00001001):
        dataset[tag] = DataElement(tag, "UI", f"{UID}.5")
    before = dataset.file_meta.MediaStorageSOPInstanceUID

    deidentify_dataset(dataset, PSEUDONYMS, Profile())

    assert not any(element.tag.group < 4 for element in dataset)
    assert "MediaStorageSOPInstanceUID" not in dataset.file_meta
    after = dcmread(cleaned_of_all(everything)).file_meta
    assert before != after.MediaStorageSOPInstanceUID
    assert after.MediaStorageSOPInstanceUID.startswith("2.25.")


def test_nothing_that_was_planted_is_found_in_the_bytes(everything):
    content = cleaned_of_all(everything).read_bytes()

    words = [token(tag, depth) for tag, _ in listed_tags() for depth in DEPTHS]
    assert all(token(0x00100010, depth).encode() in everything.read_bytes() for depth in DEPTHS)
    assert not any(form in content for word in words[:40] for form in forms(word))
    assert b"QX" not in content
    assert not any(form in content for word in (DATE, BIRTH_DATE, UID, "ID-4711") for form in forms(word))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless])
def test_every_transfer_syntax_stays_and_the_pixels_with_it(tmp_path, syntax):
    path = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(4, 40, 48)), syntax)

    clean = cleaned(path)

    assert dcmread(clean).file_meta.TransferSyntaxUID == syntax
    before, after = read_volume(path), read_volume(clean)
    assert (after.values == before.values).all()
    assert after.spacing_mm == before.spacing_mm
    assert after.laterality == before.laterality
    assert b"Doe" not in clean.read_bytes()


def test_shifted_dates_keep_their_distances_at_every_depth(everything):
    after = dcmread(cleaned_of_all(everything, Profile(Dates.SHIFTED)))
    days = PSEUDONYMS.days("number ID-4711")
    moved = datetime.datetime.strptime(DATE, "%Y%m%d") + datetime.timedelta(days=days)
    wanted = {"DA": f"{moved:%Y%m%d}", "DT": f"{moved:%Y%m%d}{TIME}", "TM": TIME}

    checked = 0
    for item in items(after):
        for tag, row in listed_tags():
            if row.is_shifted and vr_of(tag) in wanted:
                assert str(item[tag].value) == wanted[vr_of(tag)], row
                checked += 1
    assert checked > 5 * 150
    assert -3650 <= days <= -1
    assert after.PatientBirthDate == ""
    assert after.LongitudinalTemporalInformationModified == "MODIFIED"
    assert DATE.encode() not in cleaned_of_all(everything, Profile(Dates.SHIFTED)).read_bytes()


def test_what_is_no_date_does_not_hide_in_one(tmp_path):
    dataset = opt_dataset(eye())
    dataset.StudyDate, dataset.StudyTime, dataset.AcquisitionDateTime = "20240301", "101500", "20240301"
    path = write_dicom(tmp_path / "eye.dcm", dataset)
    content = path.read_bytes().replace(b"20240301", b"Doe^Jane").replace(b"101500", b"Jane D")
    path.write_bytes(content)

    after = dcmread(cleaned(path, Profile(Dates.SHIFTED)))

    assert (after.StudyDate, after.StudyTime, after.AcquisitionDateTime) == ("19000101", "000000", "19000101")


@pytest.mark.parametrize(
    ("date", "days", "moved"),
    [
        ("20240301", -1, "20240229"),
        ("2024", -1, "2023"),
        ("202401", -1, "202312"),
        ("20240301101112.123456+0100", -366, "20230301101112.123456+0100"),
        ("00010101", -1, "19000101"),
        ("20240301Doe", -1, "19000101"),
        ("", -1, "19000101"),
    ],
)
def test_dates_move(date, days, moved):
    assert shift_date(date, days) == moved


def test_the_device_stays_where_it_is_asked_for(everything):
    kept, gone = dcmread(cleaned_of_all(everything, Profile(keep_device=True))), dcmread(cleaned_of_all(everything))

    device = [(tag, row) for tag, row in listed_tags() if row.is_device and vr_of(tag) != "SQ"]
    assert len(device) >= 28
    old = dcmread(everything)
    for tag, _ in device:
        assert kept[tag].value == old[tag].value
        assert tag not in gone or gone[tag].value != old[tag].value
    assert [code.CodeValue for code in kept.DeidentificationMethodCodeSequence] == ["113100", "113109"]


def test_private_groups_go_unless_they_are_allowed(tmp_path):
    dataset = opt_dataset(eye())
    for item in (dataset, nest(dataset, 1)):
        for creator in ("MAKER OCT", "OTHER"):
            block = item.private_block(0x0051, creator, create=True)
            block.add_new(0x1F, "DS", "1.5")
            block.add_new(0x20, "LO", "Doe^Jane")
            block.add_new(0x21, "UI", f"{UID}.3")
    path = write_dicom(tmp_path / "eye.dcm", dataset)

    assert not any(tag.is_private for item in dcmread(cleaned(path)).iterall() for tag in [item.tag])
    allowed = frozenset(map(Private.parse, ["0051:MAKER OCT:1F", "0051:MAKER OCT:21"]))
    after = dcmread(cleaned(path, Profile(keep_private=allowed)))
    for item in (after, after.SharedFunctionalGroupsSequence[0]):
        block = item.private_block(0x0051, "MAKER OCT")
        assert (0x20 in block, block[0x1F].value, block[0x21].value) == (False, 1.5, PSEUDONYMS.uid(f"{UID}.3"))
        assert not any(element.tag.is_private and "OTHER" in str(element.value) for element in item)
    assert b"Doe" not in cleaned(path, Profile(keep_private=allowed)).read_bytes()


def test_curves_overlays_and_unknown_elements_go(tmp_path):
    dataset = opt_dataset(eye())
    for tag, vr in ((0x50000010, "US"), (0x50003000, "OW"), (0x60003000, "OW"), (0x60020022, "LO"), (0x0029FFF0, "LO")):
        dataset[tag] = DataElement(tag, vr, value_for(tag, vr, 0))
    dataset[0x00289998] = DataElement(0x00289998, "LO", "Doe^Jane")

    after = dcmread(cleaned(write_dicom(tmp_path / "eye.dcm", dataset)))

    assert not any(element.tag.group in {0x5000, 0x6000, 0x6002, 0x0029} for element in after)
    assert 0x00289998 not in after


def test_a_sequence_under_a_false_name_goes(tmp_path):
    dataset = opt_dataset(eye())
    items_as_bytes = b"\xfe\xff\x00\xe0\x10\x00\x00\x00\x10\x00\x10\x00PN\x08\x00Doe^Jane"
    dataset[0x00082218] = DataElement(0x00082218, "OB", items_as_bytes)
    dataset[0x0040A730] = DataElement(0x0040A730, "OB", items_as_bytes)

    clean = cleaned(write_dicom(tmp_path / "eye.dcm", dataset))

    assert b"Doe" not in clean.read_bytes()
    assert 0x00082218 not in dcmread(clean)


def test_the_preamble_and_the_names_of_machines_go(tmp_path):
    dataset = opt_dataset(eye())
    path = write_dicom(tmp_path / "eye.dcm", dataset)
    content = bytearray(path.read_bytes())
    content[:8] = b"Doe^Jane"
    path.write_bytes(content)
    changed = dcmread(path)
    changed.file_meta.SourceApplicationEntityTitle = "DOE_CLINIC"
    changed.save_as(path, enforce_file_format=True)

    clean = cleaned(path)

    assert path.read_bytes()[:8] == b"Doe^Jane"
    assert clean.read_bytes()[:128] == bytes(128)
    assert b"DOE_CLINIC" not in clean.read_bytes()


def test_patients_without_a_number_are_told_apart_by_name_or_study(tmp_path):
    names = []
    for number, (identifier, name) in enumerate([("7", "A"), (" 7 ", "B"), ("", "A"), ("", "A"), ("", ""), ("", "")]):
        dataset = opt_dataset(eye())
        dataset.PatientID, dataset.PatientName = identifier, name
        path = write_dicom(tmp_path / f"{number}.dcm", dataset)
        names.append(str(dcmread(cleaned(path)).PatientID))

    assert names[0] == names[1] != names[2] == names[3]
    assert len(set(names)) == 4


def test_what_is_cut_short_is_refused(tmp_path):
    dataset = opt_dataset(eye())
    dataset.PatientComments = "Doe^Jane " * 8
    path = write_dicom(tmp_path / "eye.dcm", dataset)
    whole = path.read_bytes()
    for end in range(140, len(whole), 37):
        path.write_bytes(whole[:end])
        with pytest.raises(VolumeReadError) as refusal:
            cleaned(path)
        assert "Doe" not in str(refusal.value)


def nested(depth):
    dataset = opt_dataset(eye())
    nest(dataset, depth).PatientComments = "Doe"
    return dataset


def test_depth_is_bounded(tmp_path):
    deep = cleaned(write_dicom(tmp_path / "deep.dcm", nested(MAX_DEPTH)))
    assert b"Doe" not in deep.read_bytes()
    with pytest.raises(VolumeReadError, match="nested deeper than"):
        cleaned(write_dicom(tmp_path / "deeper.dcm", nested(MAX_DEPTH + 1)))


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "text.dcm").write_text("Doe^Jane")
    with pytest.raises(VolumeReadError, match="has not the mark DICM at byte 128"):
        cleaned(tmp_path / "text.dcm")


def test_uids_of_the_standard_stay_and_others_change_by_the_key():
    other = Pseudonyms(bytes(32))
    assert PSEUDONYMS.uid("1.2.840.10008.5.1.4.1.1.77.1.5.4") == "1.2.840.10008.5.1.4.1.1.77.1.5.4"
    assert PSEUDONYMS.uid("1.2.840.10008/../../x").startswith("2.25.")
    assert PSEUDONYMS.uid("1.2.3") != other.uid("1.2.3")
    assert PSEUDONYMS.patient("7") != other.patient("7")
    assert len({PSEUDONYMS.uid(f"1.2.{number}") for number in range(2000)}) == 2000
    assert max(len(PSEUDONYMS.uid(f"1.2.{number}")) for number in range(2000)) <= 64
    assert "000102" not in repr(PSEUDONYMS)


def test_the_parser_logs_no_word_of_the_header(tmp_path, caplog):
    dataset = opt_dataset(eye())
    dataset.SeriesInstanceUID = "1.2.3"
    path = write_dicom(tmp_path / "eye.dcm", dataset)
    path.write_bytes(path.read_bytes().replace(b"1.2.3\0", b"Jane D"))

    assert b"Jane" not in cleaned(path).read_bytes()
    assert caplog.text == ""


def test_values_of_several_parts_are_changed_part_by_part(tmp_path):
    dataset = opt_dataset(eye())
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    dataset.SourceImageSequence = [inner]
    dataset.IrradiationEventUID = ["1.2.3", "1.2.4"]

    after = dcmread(cleaned(write_dicom(tmp_path / "eye.dcm", dataset)))

    assert list(after.IrradiationEventUID) == [PSEUDONYMS.uid("1.2.3"), PSEUDONYMS.uid("1.2.4")]
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == PSEUDONYMS.uid("1.2.3")


@pytest.mark.parametrize(
    "text", ["19500102-19500103", "19500102-", "-19500103", "1950010219500103", "19500102-1950", "19500102 19500103"]
)
def test_what_holds_a_second_date_keeps_neither(text):
    assert shift_date(text, -10) == "19000101"


@pytest.mark.parametrize("zone", ["", "+0100", "-1130"])
def test_times_and_zones_stay_where_a_date_moves(zone):
    for date in ("2024", "202403", "20240311", "2024031110", "202403111015", "20240311101500", "20240311101500.123456"):
        moved = shift_date(date + zone, -10)
        assert (len(moved), moved[8:]) == (len(date + zone), (date + zone)[8:]), date
        assert moved[:4] in {"2023", "2024"}
