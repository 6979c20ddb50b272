"""What may show a name although every attribute is clean: pixels and documents."""

import pytest

from formats.written_scans import ENCAPSULATED_PDF, OPT, eye, opt_dataset, write_dicom
from octavo.formats import VolumeReadError
from octavo.formats.errors import refusing
from octavo.privacy.deidentification import deidentify_file
from octavo.privacy.profile import Profile
from octavo.privacy.pseudonyms import Pseudonyms


def cleaned(path, **options):
    with refusing(str(path), "a DICOM file"):
        found = deidentify_file(path, Pseudonyms(bytes(32)), Profile(), **options)
    target = path.with_name("clean.dcm")
    target.write_bytes(found.content)
    return target


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"SOPClassUID": ENCAPSULATED_PDF}, "is a report or a document, whose text cannot be cleaned"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "is a report or a document"),
        ({"EncapsulatedDocument": b"%PDF"}, "is a report or a document"),
        ({"SOPClassUID": "1.2.840.10008.1.3.10"}, "is a directory of other files"),
        ({"BurnedInAnnotation": "YES"}, "says that text is burned into its pixels"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "BurnedInAnnotation": "NO"}, "is a picture of a screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "is a picture of a screen"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4.1"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.2"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6"}, "is a photograph that does not say"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.3"}, "is a photograph that does not say"),
        ({"SOPInstanceUID": ""}, "names no instance"),
        ({"PixelData": None}, "is an image without pixels"),
    ],
)
def test_what_cannot_be_cleaned_is_refused(tmp_path, changes, says):
    dataset = opt_dataset(eye())
    for name, value in changes.items():
        if value is None:
            del dataset[name]
        else:
            setattr(dataset, name, value)
    path = tmp_path / "eye.dcm"
    dataset.save_as(path)

    with pytest.raises(VolumeReadError, match=says):
        cleaned(path)


def test_whoever_looked_may_accept_pixels_but_no_document(tmp_path):
    for kind, burned in (("1.2.840.10008.5.1.4.1.1.77.1.5.1", None), ("1.2.840.10008.5.1.4.1.1.7", None), (OPT, "YES")):
        dataset = opt_dataset(eye(), sop_class=kind)
        if burned:
            dataset.BurnedInAnnotation = burned
        assert cleaned(write_dicom(tmp_path / "eye.dcm", dataset), accept_burned_in=True).exists()
    photograph = opt_dataset(eye(), sop_class="1.2.840.10008.5.1.4.1.1.77.1.5.1")
    photograph.BurnedInAnnotation = "NO"
    assert cleaned(write_dicom(tmp_path / "eye.dcm", photograph)).exists()
    document = write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), sop_class=ENCAPSULATED_PDF))
    with pytest.raises(VolumeReadError, match="is a report or a document"):
        cleaned(document, accept_burned_in=True)


@pytest.mark.parametrize("number", [4, 7, 8])
def test_tomography_of_the_eye_needs_nobody_to_look(tmp_path, number):
    kind = f"1.2.840.10008.5.1.4.1.1.77.1.5.{number}"
    assert cleaned(write_dicom(tmp_path / "eye.dcm", opt_dataset(eye(), sop_class=kind))).exists()
