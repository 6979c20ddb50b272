"""Zeiss `.img` exports: cubes of Cirrus and PLEX Elite, 8-bit samples and nothing else.

The file has no header. What it is stands in the name that the export gives it
(`..._Macular Cube 512x128_1-2-2020_10-11-12_OD_sn1234_cube_z.img`), and the number of bytes must agree; where the name
was changed, the number of bytes alone may do, or a profile beside the file (`profile`) says it.

What is sure, because every public reader of these files agrees: samples lie B-scan by B-scan, row by row; rows run from
the choroid to the vitreous and A-scans of Cirrus from right to left, so that each B-scan is turned by 180 degrees here.
`cube_raw` and `cube_z` are stored alike; the latter has its B-scans shifted along depth against eye movement. What is
not sure stays unknown: which way the B-scans follow one another, and the A-scans of PLEX Elite, which are left as they
are. Readers disagree about both.

A scrambled export is recognised and refused: Zeiss writes DICOM of its own in which the samples lie in private elements
or their JPEG 2000 frames are shuffled, and no public description makes them whole again.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from octavo.companions import Companions, EnFace, Picture
from octavo.formats.errors import VolumeReadError
from octavo.formats.limits import check_size, read_exactly, read_voxel_bytes
from octavo.formats.reader import Kind, Reader, ReadOptions, Scan
from octavo.formats.zeiss.profile import FOLDER_PROFILE, Profile, find_profile, profiles_of
from octavo.formats.zeiss.protocols import Protocol, find_protocol
from octavo.formats.zeiss.scrambled import EXPORT_INSTEAD, is_scrambled_dicom, looks_scrambled
from octavo.volume import Laterality, Origin, ScanPattern, Source, Spacing, Volume

_ENDINGS = re.compile(r"(cube_z|cube_raw|flowcube_z|hidef|hidef_z|hidef_raw|lineenhanced)\.img$", re.IGNORECASE)
_EYE = re.compile(r"_(OD|OS)_sn\d+", re.IGNORECASE)
_FUNDUS = re.compile(r"_(flowcube|cube|hidef)(_z|_raw)?\.img$|_lineenhanced\.img$", re.IGNORECASE)
_FUNDUS_SHAPE = (512, 664)


def _recognises(path: Path, beginning: bytes) -> bool:
    if beginning[128:132] == b"DICM":
        return is_scrambled_dicom(path)
    if path.suffix.lower() != ".img" or path.is_dir():
        return False
    return _ENDINGS.search(path.name) is not None or bool(profiles_of(path))


def _scans(path: Path, options: ReadOptions) -> Sequence[Scan]:
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(132)
    if beginning.endswith(b"DICM"):
        raise VolumeReadError(
            f"is a DICOM file of Zeiss whose samples are scrambled; wanted open ones; {EXPORT_INSTEAD}"
        )
    # where it is whole, `analyze` is asked before
    if any(path.with_suffix(suffix).exists() for suffix in (".hdr", ".HDR")):
        raise VolumeReadError(
            "has a .hdr beside it that is no ANALYZE or NIfTI header, and may belong to it; wanted a Zeiss export by "
            "itself, or a whole pair; copy the .hdr again, or move it away if it is of something else"
        )
    profile = find_profile(path)
    protocol = profile.protocol if profile else find_protocol(path.name, size)
    shape = protocol.shape
    stated = "profile" if profile else "name"
    check_size(shape, 1, size)
    if size != protocol.bytes:
        raise VolumeReadError(
            f"its {stated} says {' x '.join(map(str, shape))} samples of one byte, and it holds {size} bytes; "
            "wanted as many; copy or export it again, or state its true shape in NAME.img.json beside it"
        )
    eye = _eye(path, profile)
    label = f"{protocol.name}: {' x '.join(map(str, shape))}"
    load = partial(_load, path, protocol, profile, eye)
    return [Scan(label, Kind.OCT, load, laterality=eye, companions=partial(_companions, path))]


def _eye(path: Path, profile: Profile | None) -> Laterality:
    if profile is not None and profile.laterality is not Laterality.UNKNOWN:
        return profile.laterality
    named = _EYE.search(path.name)
    return Laterality.parse(named[1] if named else None)


def _load(path: Path, protocol: Protocol, profile: Profile | None, eye: Laterality) -> Volume:
    shape = protocol.shape
    with path.open("rb") as file:
        values = read_voxel_bytes(file, protocol.bytes).reshape(shape)
    if looks_scrambled(values):
        raise VolumeReadError(f"holds samples like noise, neither dark nor alike; wanted a scan; {EXPORT_INSTEAD}")
    values = values[:, ::-1, ::-1] if protocol.is_mirrored else values[:, ::-1]
    origin = Origin.DERIVED if protocol.is_sure else Origin.ASSUMED
    said = origin if profile is None else Origin.READ
    size_mm = protocol.size_mm
    lengths = [None if mm is None else mm / count for mm, count in zip(size_mm, shape, strict=True)]
    if protocol.bscans == 1 or protocol.pattern is not ScanPattern.RASTER:
        lengths[0] = None
    has_own_eye = profile is not None and profile.laterality is not Laterality.UNKNOWN
    return Volume(
        np.ascontiguousarray(values),
        Spacing(lengths[0], lengths[1], lengths[2], (said, said, said)),
        laterality=eye,
        laterality_origin=Origin.READ if has_own_eye else Origin.DERIVED,
        pattern=protocol.pattern,
        pattern_origin=said,
        slow_axis=protocol.slow_axis,
        slow_axis_origin=said,
        region=protocol.region,
        region_origin=said,
        source=Source(device="Carl Zeiss Meditec"),
        notes=protocol.notes,
    )


def _companions(path: Path) -> Companions:
    """The fundus image that an export writes beside a cube."""
    beside = path.with_name(_FUNDUS.sub("", path.name) + "_lslo.bin")
    if beside.name == path.name + "_lslo.bin" or not beside.is_file():
        return Companions()
    if beside.stat().st_size != int(np.prod(_FUNDUS_SHAPE)):
        return Companions(notes=("the fundus image beside the scan is of another size than is known and is left out",))
    with beside.open("rb") as file:
        content = bytes(read_exactly(file, int(np.prod(_FUNDUS_SHAPE)), "fundus image"))
    picture: UInt8[np.ndarray, "row column"] = np.frombuffer(content, np.uint8).reshape(_FUNDUS_SHAPE)
    note = "the fundus image is as the export stores it; whether it stands upright is not known"
    return Companions(pictures=(EnFace(Picture.INFRARED, picture),), notes=(note,))


def _beside(path: Path) -> list[Path]:
    return [] if path.is_dir() else profiles_of(path)


READER = Reader(
    name="zeiss-img",
    about=f"a Zeiss .img export (with its own name, or with {FOLDER_PROFILE} beside it)",
    suffixes=(".img",),
    recognises=_recognises,
    scans=_scans,
    beside=_beside,
)
