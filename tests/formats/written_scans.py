"""Scans of every format, written byte by byte with planted spacing, eye and direction."""

import struct
import warnings
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset, FileDataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import compress
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

OPT = "1.2.840.10008.5.1.4.1.1.77.1.5.4"
MR = "1.2.840.10008.5.1.4.1.1.4"
ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def eye(bscans: int = 4, depth: int = 12, ascans: int = 16, dtype: str = "uint8") -> np.ndarray:
    """A block in which every sample tells where it lies: no flip or exchange of axes goes unseen."""
    bscan, row, column = np.ogrid[:bscans, :depth, :ascans]
    values = (bscan * 37 + row * 5 + column * 3 + (bscan == 0) * (column == 0) * 11) % 251
    return values.astype(dtype)


def bscan_lines(
    bscans: int,
    *,
    first: tuple[float, float] = (1.0, 6.0),
    step: tuple[float, float] = (0.0, -0.12),
    length: float = 6.0,
) -> np.ndarray:
    """Start x, start y, end x, end y of parallel horizontal B-scans in mm, y downwards."""
    k = np.arange(bscans)[:, None]
    starts = np.array(first) + k * np.array(step)
    return np.hstack([starts, starts + np.array([length, 0.0])])


def vol_bytes(
    reflectivity: np.ndarray,
    *,
    lines: np.ndarray | None = None,
    eye_code: bytes = b"OD\0\0",
    pattern: int = 3,
    spacing_mm: tuple[float, float, float] = (0.12, 0.0039, 0.0113),
    slo: tuple[int, int] = (6, 5),
    header_bytes: int = 300,
    version: bytes = b"HSF-OCT-103",
    stated: dict[str, int] | None = None,
) -> bytes:
    """A Heidelberg export of reflectivity in 0..1; `stated` are lies about the number of B-scans, rows or columns."""
    bscans, depth, ascans = reflectivity.shape
    lies = {"bscans": bscans, "depth": depth, "ascans": ascans, "header_bytes": header_bytes, **(stated or {})}
    lines = bscan_lines(bscans) if lines is None else lines
    fields = struct.pack(
        "<12siiidddiiddid4sQii",
        version,
        lies["ascans"],
        lies["bscans"],
        lies["depth"],
        spacing_mm[2],
        spacing_mm[0],
        spacing_mm[1],
        *slo,
        0.0113,
        0.0113,
        30,
        -1.5,
        eye_code,
        125911584000000000,
        pattern,
        lies["header_bytes"],
    )
    identity = b"ID-4711".ljust(16, b"\0") + b"Doe^Jane".ljust(32, b"\0")
    content = [(fields + identity).ljust(2048, b"\0"), bytes(slo[0] * slo[1])]
    for bscan, line in zip(reflectivity, lines, strict=True):
        header = struct.pack("<12si4diifi", b"HSF-BS-103", header_bytes, *line, 0, 256, 30.0, 0)
        content += [header.ljust(header_bytes, b"\0"), bscan.astype("<f4").tobytes()]
    return b"".join(content)


def opt_dataset(
    frames: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] | None = (0.12, 0.0039, 0.0113),
    laterality: str | None = "R",
    fundus_lines: np.ndarray | None = None,
    positions: bool = True,
    sop_class: str = OPT,
) -> FileDataset:
    """A multi-frame Ophthalmic Tomography image with a patient whose name must not come out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality = "OPT" if sop_class == OPT else "MR"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Model 1"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "ID-4711", "19500102"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = 3, 1
    if laterality is not None:
        dataset.ImageLaterality = laterality
    _add_pixels(dataset, frames)
    dataset.NumberOfFrames = len(frames)
    shared, measures = Dataset(), Dataset()
    if spacing_mm is not None:
        measures.PixelSpacing = [spacing_mm[1], spacing_mm[2]]
        measures.SliceThickness = spacing_mm[0]
        shared.PixelMeasuresSequence = [measures]
    orientation = Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame_groups(number, spacing_mm if positions else None, fundus_lines) for number in range(len(frames))
    ]
    return dataset


def _add_pixels(dataset: Dataset, frames: np.ndarray) -> None:
    bits = frames.dtype.itemsize * 8
    dataset.Rows, dataset.Columns = frames.shape[1:3]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits, bits - 1, 0
    dataset.PixelData = frames.tobytes() + b"\0" * (frames.nbytes % 2)
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def _frame_groups(number: int, spacing_mm: Sequence[float] | None, fundus_lines: np.ndarray | None) -> Dataset:
    groups = Dataset()
    if spacing_mm is not None:
        position = Dataset()
        position.ImagePositionPatient = [0, 0, round(number * spacing_mm[0], 6)]
        groups.PlanePositionSequence = [position]
    if fundus_lines is not None:
        x0, y0, x1, y1 = (float(number) for number in fundus_lines[number])
        location = Dataset()
        location.ReferenceCoordinates = [y0, x0, y1, x1]
        groups.OphthalmicFrameLocationSequence = [location]
    return groups


def write_dicom(path: Path, dataset: FileDataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a dataset, compressed with one of the encoders at hand."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if syntax == JPEGBaseline8Bit:
            dataset.PixelData = encapsulate(
                [_jpeg(frame) for frame in dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)]
            )
            dataset["PixelData"].is_undefined_length = True
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
        elif UID(syntax).is_encapsulated:
            compress(dataset, syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
        dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _jpeg(frame: np.ndarray) -> bytes:
    stream = BytesIO()
    Image.fromarray(frame).save(stream, format="JPEG", quality=95)
    return stream.getvalue()


def write_series(
    folder: Path, frames: np.ndarray, *, spacing_mm: Sequence[float] = (0.12, 0.0039, 0.0113)
) -> list[Path]:
    """One single-frame file per B-scan, named so that file order is not B-scan order."""
    folder.mkdir(parents=True, exist_ok=True)
    series, paths = generate_uid(), []
    for number, frame in enumerate(frames):
        dataset = opt_dataset(frame[None], spacing_mm=None, positions=False)
        del dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence, dataset.NumberOfFrames
        dataset.SeriesInstanceUID, dataset.InstanceNumber = series, number + 1
        dataset.PixelSpacing, dataset.SliceThickness = [spacing_mm[1], spacing_mm[2]], spacing_mm[0]
        dataset.ImagePositionPatient = [0, 0, round(number * spacing_mm[0], 6)]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        paths.append(write_dicom(folder / f"{(number * 7) % len(frames)}-{number}.dcm", dataset))
    return paths


def write_pictures(folder: Path, values: np.ndarray, name: str = "{}-Input.tif", first: int = 1) -> Path:
    """One picture per B-scan, numbered without leading zeros."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, bscan in enumerate(values, first):
        Image.fromarray(bscan).save(folder / name.format(number))
    return folder


def heyex_xml(
    shape: tuple[int, int, int],
    *,
    lines: np.ndarray | None = None,
    spacing_mm: tuple[float, float] = (0.0039, 0.0113),
    laterality: str | None = "L",
    beginning: str = "",
) -> str:
    """An export file with a localiser as image 0, and a patient whose name must not come out."""
    bscans, depth, ascans = shape
    lines = bscan_lines(bscans) if lines is None else lines
    eye_words = f"<Laterality>{laterality}</Laterality>" if laterality else ""
    images = [
        f"<Image><ID>0</ID>{eye_words}<OphthalmicAcquisitionContext><Width>768</Width><Height>768</Height>"
        "<ScaleX>0.0112</ScaleX><ScaleY>0.0112</ScaleY></OphthalmicAcquisitionContext></Image>"
    ]
    for number, (x0, y0, x1, y1) in enumerate(lines, 1):
        images.append(
            f"<Image><ID>{number}</ID>{eye_words}<OphthalmicAcquisitionContext>"
            f"<Width>{ascans}</Width><Height>{depth}</Height>"
            f"<ScaleX>{spacing_mm[1]}</ScaleX><ScaleY>{spacing_mm[0]}</ScaleY>"
            f"<Start><Coord><X>{x0:.3f}</X><Y>{y0:.3f}</Y></Coord></Start>"
            f"<End><Coord><X>{x1:.3f}</X><Y>{y1:.3f}</Y></Coord></End>"
            "</OphthalmicAcquisitionContext></Image>"
        )
    return (
        f"{beginning}<HEDX><BODY><Patient><LastName>Doe</LastName><FirstNames>Jane</FirstNames><Study><Series>"
        "<GeneralEquipment><Manufacturer>Maker</Manufacturer><ManufacturerModelName>Model 1</ManufacturerModelName>"
        f"</GeneralEquipment>{''.join(images)}</Series></Study></Patient></BODY></HEDX>"
    )
