"""octavo's own DICOM: one multi-frame Ophthalmic Tomography image that any DICOM program can read.

* Samples are stored as they are: 8 or 16 bits without sign, not compressed. This kind of image has no place for a
  rescaling that would bring floating-point samples back, so they are refused.
* Frames are B-scans in stored order, with pixel spacing. The standard wants a place for each where no photograph is
  referred to: in a frame of reference of its own, A-scans along x, depth along y, B-scans along z, the first voxel at
  nought. Where the distance between B-scans is not known all frames have the same place, which tells no distance.
* The standard wants to know which eye. A scan of an unknown eye is refused rather than given one.
* A left eye that was turned to right-eye orientation is refused: for any other program it would be mirrored.
* No patient is written. The dates that the standard insists on, of acquisition and of content, are the first of January
  1970: none is known, and the same scan gives the same file. Identifiers are worked out from the content for the same
  reason. The series is by octavo; the device that made the scan stands in octavo's own geometry.
* What the standard has no place for (pattern, direction, how each thing is known) stands as JSON in a private block,
  with a digest of the samples by which `own` can tell whether it still belongs to them.
"""

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from octavo import __version__
from octavo.errors import OctavoError
from octavo.formats.dicom.dataset import OPHTHALMIC_TOMOGRAPHY
from octavo.formats.dicom.own import CREATOR, DIGEST_ELEMENT, GROUP, TEXT_ELEMENT, digest_of
from octavo.formats.geometry_text import geometry_to_text
from octavo.volume import Frame, Laterality, Region, Volume

if TYPE_CHECKING:
    from pydicom import Dataset

_LETTERS = {Laterality.OD: "R", Laterality.OS: "L"}
_SCT = "SCT"
_REGIONS = {
    Region.MACULA: ("5665001", "Retina"),
    Region.DISC: ("81016008", "Optic nerve head"),
    Region.MACULA_AND_DISC: ("5665001", "Retina"),
    Region.UNKNOWN: ("81745001", "Eye"),
}
_OCT_SCANNER = ("392012008", "Optical Coherence Tomography Scanner")
_LONGEST_AXIS = 2**16 - 1
_NO_DATE, _NO_TIME = "19700101", "000000"
_EMPTY_PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
    *("ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_EMPTY_PARAMETERS = (
    *("AxialLengthOfTheEye", "HorizontalFieldOfView", "EmmetropicMagnification", "IntraOcularPressure"),
    "PupilDilated",
)
_EMPTY_SEQUENCES = ("AcquisitionContextSequence", "RefractiveStateSequence", "LightPathFilterTypeStackCodeSequence")


def write_dicom(volume: Volume, file: BinaryIO) -> None:
    """Write a volume as one multi-frame Ophthalmic Tomography image.

    Raises:
        OctavoError: If the samples are not 8 or 16 bits without sign, the eye or the millimetres within a B-scan are
            unknown, a left eye is turned to right-eye orientation, or an axis is too long.
    """
    from pydicom import dcmwrite

    _check(volume)
    dcmwrite(file, _dataset(volume), enforce_file_format=True)


def _check(volume: Volume) -> None:
    if volume.values.dtype.kind != "u" or volume.values.dtype.itemsize > 2:
        raise OctavoError(
            f"volume holds {volume.values.dtype.name} samples; DICOM tomography wants uint8 or uint16 and has no place "
            "for a scale that would bring others back; write .nii.gz or .npz instead"
        )
    if volume.laterality not in _LETTERS:
        raise OctavoError(
            "the eye is unknown, and DICOM tomography must name it; wanted OD or OS; pass --laterality, "
            "or write .nii.gz or .npz instead"
        )
    if volume.spacing_mm.depth is None or volume.spacing_mm.ascan is None:
        raise OctavoError(
            "spacing along depth and A-scans is unknown, and DICOM tomography must state it; wanted millimetres; "
            "pass --spacing-mm BSCAN DEPTH ASCAN, or write .npz instead"
        )
    if volume.frame is Frame.RIGHT_EYE and volume.laterality is Laterality.OS:
        raise OctavoError(
            "a left eye turned to right-eye orientation would be mirrored for every other program, and DICOM tomography "
            "has no word for that; wanted the scan as it was stored; write .nii.gz or .npz instead"
        )
    if max(volume.shape) > _LONGEST_AXIS:
        raise OctavoError(
            f"volume has {volume.shape} samples; DICOM wants axes of at most {_LONGEST_AXIS}; write .npz instead"
        )


def _dataset(volume: Volume) -> "Dataset":
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    digest = digest_of(volume.values)
    text = geometry_to_text(volume)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(OPHTHALMIC_TOMOGRAPHY)
    meta.MediaStorageSOPInstanceUID = UID(_uid("instance", digest, text))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    for name in _EMPTY_PATIENT_AND_STUDY + _EMPTY_PARAMETERS:
        setattr(dataset, name, None)
    for name in _EMPTY_SEQUENCES:
        setattr(dataset, name, [])
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (_uid(what, digest, text) for what in ("study", "series"))
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = _uid("frame of reference", digest, text), None
    _describe_equipment(dataset)
    _describe_image(dataset, volume)
    _describe_frames(dataset, volume, _uid("dimensions", digest, text))
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(TEXT_ELEMENT, "UT", text)
    block.add_new(DIGEST_ELEMENT, "LO", digest)
    return dataset


def _uid(what: str, digest: str, text: str) -> str:
    """An identifier worked out from the content, in the form for numbers that nobody hands out."""
    number = hashlib.sha256(f"octavo {what} {digest} {text}".encode()).digest()[:16]
    return f"2.25.{int.from_bytes(number, 'big')}"


def _describe_equipment(dataset: "Dataset") -> None:
    """The program that made the file; the device that made the scan stands in octavo's own geometry."""
    dataset.Modality = "OPT"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.Manufacturer = dataset.ManufacturerModelName = "octavo"
    dataset.DeviceSerialNumber = "none"
    dataset.SoftwareVersions = __version__


def _describe_image(dataset: "Dataset", volume: Volume) -> None:
    bits = volume.values.dtype.itemsize * 8
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentDate, dataset.ContentTime = _NO_DATE, _NO_TIME
    dataset.AcquisitionDateTime, dataset.AcquisitionNumber = _NO_DATE + _NO_TIME, 1
    dataset.DetectorType = "UNKNOWN"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = volume.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PresentationLUTShape, dataset.LossyImageCompression, dataset.BurnedInAnnotation = "IDENTITY", "00", "NO"
    dataset.ConcatenationFrameOffsetNumber = 0
    dataset.InConcatenationNumber = dataset.InConcatenationTotalNumber = 1
    dataset.ImageLaterality = _LETTERS[volume.laterality]
    dataset.AnatomicRegionSequence = [_code(*_REGIONS[volume.region])]
    dataset.AcquisitionDeviceTypeCodeSequence = [_code(*_OCT_SCANNER)]
    content = volume.values.astype(volume.values.dtype.newbyteorder("<"), copy=False).tobytes()
    dataset.add_new("PixelData", "OB" if bits == 8 else "OW", content + b"\0" * (len(content) % 2))


def _describe_frames(dataset: "Dataset", volume: Volume, dimensions_uid: str) -> None:
    """The functional groups: what all frames share, and where each lies."""
    from pydicom.datadict import tag_for_keyword

    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=dimensions_uid)]
    index = _item(DimensionOrganizationUID=dimensions_uid)
    index.DimensionIndexPointer = tag_for_keyword("InStackPositionNumber")
    index.FunctionalGroupPointer = tag_for_keyword("FrameContentSequence")
    dataset.DimensionIndexSequence = [index]
    anatomy = _item(AnatomicRegionSequence=[_code(*_REGIONS[volume.region])])
    anatomy.FrameLaterality = _LETTERS[volume.laterality]
    shared = _item(FrameAnatomySequence=[anatomy], PixelMeasuresSequence=[_measures(volume)])
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number, volume) for number in range(volume.shape[0])]


def _measures(volume: Volume) -> "Dataset":
    bscan_mm, depth_mm, ascan_mm = volume.spacing_mm.values_mm
    measures = _item(PixelSpacing=[_decimal(depth_mm or 0.0), _decimal(ascan_mm or 0.0)])
    if bscan_mm is not None:
        measures.SliceThickness = measures.SpacingBetweenSlices = _decimal(bscan_mm)
    return measures


def _frame(number: int, volume: Volume) -> "Dataset":
    content = _item(StackID="1", InStackPositionNumber=number + 1, DimensionIndexValues=number + 1)
    place = [0, 0, _decimal(number * (volume.spacing_mm.bscan or 0.0))]
    return _item(FrameContentSequence=[content], PlanePositionSequence=[_item(ImagePositionPatient=place)])


def _decimal(number: float) -> str:
    """A number in the sixteen characters that DICOM leaves for it."""
    from pydicom.valuerep import format_number_as_ds

    return format_number_as_ds(float(number))


def _code(value: str, meaning: str) -> "Dataset":
    return _item(CodeValue=value, CodingSchemeDesignator=_SCT, CodeMeaning=meaning)


def _item(**elements: object) -> "Dataset":
    from pydicom import Dataset

    item = Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return item
