"""One eye in every format of a standard or a library, with a planted word in each field that could name a person."""

import warnings
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pydicom
from PIL import Image, PngImagePlugin, TiffImagePlugin
from pydicom import DataElement, Dataset, dcmread

from formats.written_scans import opt_dataset, write_dicom, write_pictures, write_series
from formats.written_stored_images import write_mha, write_mhd, write_nhdr, write_nrrd
from octavo.volume import Laterality
from privacy.canaries import DATE, NUMBER, UID, canary, name_of, overwritten, padded, written
from privacy.written_identities import listed_tags, vr_of

MILLIMETRES = (0.12, 0.0039, 0.0113)
DOCUMENTS = {0x00420011}
"""What makes an object a document, which is refused as such."""


def dicom_dataset(values: np.ndarray, eye: Laterality) -> Dataset:
    """A tomography image with every attribute of the confidentiality profile, some nested, and private groups."""
    dataset = opt_dataset(values, spacing_mm=MILLIMETRES, laterality="R" if eye is Laterality.OD else "L")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tag, _ in listed_tags():
            if tag >> 16 >= 4 and tag not in dataset and tag not in DOCUMENTS:
                _plant(dataset, tag)
    dataset.PatientName, dataset.PatientID = name_of("dicom"), canary("dicom patient id")
    dataset.PatientBirthDate, dataset.InstitutionName = DATE, canary("dicom institution")
    dataset.OperatorsName, dataset.StudyDescription = name_of("dicom operator"), canary("dicom study")
    dataset.SeriesDescription, dataset.ImageComments = canary("dicom series"), canary("dicom comments")
    dataset.StationName, dataset.DeviceSerialNumber = canary("dicom station"), canary("dicom serial")
    dataset.SoftwareVersions, dataset.PatientComments = canary("dicom software"), canary("dicom patient comments")
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{UID}.1", f"{UID}.2"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"{UID}.4")
    dataset.file_meta.SourceApplicationEntityTitle = canary("dicom AE title")
    for group in (0x0009, 0x0029, 0x0119):
        block = dataset.private_block(group, canary("dicom private creator"), create=True)
        block.add_new(0x01, "LO", canary("dicom private text"))
        block.add_new(0x02, "UN", canary("dicom private bytes").encode() + b"\0")
        inner = Dataset()
        inner.PatientName = name_of("dicom private sequence")
        block.add_new(0x03, "SQ", [inner])
    for number, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        frame.FrameComments = canary("dicom frame comments")
        content = Dataset()
        content.FrameLabel, content.FrameAcquisitionDateTime = canary("dicom frame label"), f"{DATE}010203"
        content.StackID = canary("dicom stack")
        frame.FrameContentSequence = [content]
        source = Dataset()
        source.ReferencedSOPInstanceUID = f"{UID}.8.{number}"
        frame.DerivationImageSequence = [source]
    dataset.preamble = padded(canary("dicom preamble"), 128)
    return dataset


def _plant(dataset: Dataset, tag: int) -> None:
    vr, what = vr_of(tag), canary("dicom profile attribute")
    inner = Dataset()
    inner.PersonName, inner.PatientID = name_of("dicom sequence"), canary("dicom nested id")
    numbers = dict.fromkeys(("FD", "FL", "SL", "UL", "SS", "US"), 4711)
    others = {"DA": DATE, "TM": "112233", "DT": f"{DATE}112233", "UI": f"{UID}.6.{tag}", "AS": "047Y", "SQ": [inner]}
    others |= {"DS": str(NUMBER), "IS": str(NUMBER), "AT": 0x00100010}
    is_bytes = vr in {"OB", "OW", "UN", "OF", "OD", "OL", "OV"}
    value = what.encode().ljust(16, b"\0") if is_bytes else (numbers | others).get(vr, what)
    dataset[tag] = DataElement(tag, vr, value)


def dicom(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """One file of many frames."""
    return write_dicom(folder / f"{stem}.dcm", dicom_dataset(values, eye))


def dicom_series(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """A file for each B-scan."""
    files = write_series(folder / stem, values, spacing_mm=MILLIMETRES)
    for file in files:
        dataset = dcmread(file)
        dataset.PatientName, dataset.PatientID = name_of("dicom series"), canary("dicom series patient id")
        dataset.PatientBirthDate, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = DATE, f"{UID}.11", f"{UID}.12"
        dataset.ImageLaterality = "R" if eye is Laterality.OD else "L"
        dataset.ImageComments = canary("dicom series comments")
        dataset.save_as(file)
    return folder / stem


def nifti(folder: Path, stem: str, values: np.ndarray, eye: Laterality, suffix: str = ".nii") -> Path:
    """Every text of the header, and an extension."""
    image = nibabel.Nifti1Image(values, np.diag([*MILLIMETRES, 1.0]))
    image.header.set_xyzt_units("mm")
    for field in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[field] = canary(f"nifti {field}").encode()
    for code in (4, 6):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(code, canary(f"nifti extension {code}").encode()))
    path = folder / f"{stem}{suffix}"
    nibabel.save(image, path)
    return path


def tiff(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """The texts of a directory."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    fields = {270: "description", 315: "artist", 33432: "copyright", 306: "date", 316: "computer", 305: "software"}
    for tag, field in {**fields, 285: "page name", 269: "document name"}.items():
        tags[tag] = canary(f"tiff {field}")
    tags[700] = f"<x:xmpmeta>{canary('tiff metadata')}</x:xmpmeta>".encode()
    images = [Image.fromarray(page) for page in values]
    path = folder / f"{stem}.tif"
    images[0].save(path, save_all=True, append_images=images[1:], tiffinfo=tags)
    return path


def pictures(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """B-scans as PNG, with texts of each kind that PNG has."""
    for number, bscan in enumerate(values, 1):
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", canary("png text"))
        info.add_text("Author", canary("png packed text"), zip=True)
        info.add_itxt("Title", canary("png international text"))
        exif = Image.Exif()
        exif[315] = canary("png exif artist")
        (folder / stem).mkdir(parents=True, exist_ok=True)
        Image.fromarray(bscan).save(folder / stem / f"{number}.png", pnginfo=info, exif=exif)
    return folder / stem


def jpegs(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """B-scans as JPEG, with a comment."""
    place = write_pictures(folder / stem, values, "{}.jpg")
    for number in range(1, len(values) + 1):
        exif = Image.Exif()
        exif[270] = canary("jpeg exif description")
        with Image.open(place / f"{number}.jpg") as picture:
            picture.load()
            picture.save(place / f"{number}.jpg", comment=canary("jpeg comment"), exif=exif)
    return place


def _metaimage_words() -> dict[str, str | None]:
    fields = ("PatientName", "Comment", "ObjectSubType", "Name", "PatientID", "AcquisitionDate", "Color")
    return {field: canary(f"metaimage {field}") for field in fields} | {"ID": str(NUMBER)}


def mha(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Header and voxels in one file."""
    letter = "R" if eye is Laterality.OD else "L"
    return write_mha(folder / f"{stem}.mha", values, MILLIMETRES, eye=letter, changes=_metaimage_words())


def mhd(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Header and voxels apart, the voxels packed."""
    letter = "R" if eye is Laterality.OD else "L"
    return write_mhd(folder / f"{stem}.mhd", values, MILLIMETRES, eye=letter, packed=True, changes=_metaimage_words())


def _nrrd_planted(path: Path) -> Path:
    content = path.read_bytes()
    for old, new in (
        (b"Doe^Jane ID-4711 19500102", name_of("nrrd content").encode()),
        (b"# a comment", f"# {canary('nrrd comment')}".encode()),
        (b"PatientName:=Doe^Jane", f"PatientName:={name_of('nrrd')}\nnote:={canary('nrrd note')}".encode()),
    ):
        assert old in content
        content = content.replace(old, new)
    return written(path.parent, path.name, content)


def nrrd(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Header and voxels in one file."""
    letter = "R" if eye is Laterality.OD else "L"
    return _nrrd_planted(write_nrrd(folder / f"{stem}.nrrd", values, MILLIMETRES, encoding="gzip", eye=letter))


def nhdr(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Header and voxels apart."""
    letter = "R" if eye is Laterality.OD else "L"
    return _nrrd_planted(write_nhdr(folder / f"{stem}.nhdr", values, MILLIMETRES, eye=letter))


def npz(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Arrays of text beside the scan, and the comment of the archive."""
    path = folder / f"{stem}.npz"
    table = np.array([(canary("npz field"), 3)], dtype=[("name", "U14"), ("visit", "i4")])
    np.savez(path, scan=values, name=np.array(canary("npz text")), meta=table, born=np.array(DATE.encode()))
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = canary("npz archive comment").encode()
    return path


def analyze(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """Header and voxels apart, with every text that the header has."""
    image = nibabel.AnalyzeImage(values, np.diag([*MILLIMETRES, 1.0]))
    nibabel.save(image, folder / f"{stem}.hdr")
    content = (folder / f"{stem}.hdr").read_bytes()
    for at, length, field in ((14, 18, "db_name"), (148, 80, "descrip"), (228, 24, "aux_file")):
        content = overwritten(content, at, padded(canary(f"analyze {field}"), length))
    # fields of ten bytes, in which the number of the patient is cut off
    for at, field in ((263, "generated"), (273, "scannum"), (283, "patient_id"), (293, "exp_date"), (303, "exp_time")):
        content = overwritten(content, at, canary(f"analyze {field}").encode()[:10])
    return written(folder, f"{stem}.hdr", content)


def picture(folder: Path, stem: str, values: np.ndarray, eye: Laterality) -> Path:
    """A single B-scan."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", canary("single picture text"))
    info.add_text("Author", canary("single picture packed text"), zip=True)
    path = folder / f"{stem}.png"
    Image.fromarray(values[len(values) // 2]).save(path, pnginfo=info)
    return path
