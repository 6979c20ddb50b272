"""The pixels of a DICOM image, decoded after every size has been compared with what is there."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num, Shaped

from octavo.formats.dicom.apart import decode_apart
from octavo.formats.dicom.dataset import Instance, read_dataset
from octavo.formats.errors import VolumeReadError
from octavo.formats.greyscale import grey_of_channels
from octavo.formats.limits import check_size

if TYPE_CHECKING:
    from pydicom import Dataset

_GREY = {"MONOCHROME1", "MONOCHROME2"}
_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT"}
_RLE = "1.2.840.10008.1.2.5"
_DECODERS = {
    _RLE: "pydicom",
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "gdcm",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
}
"""One decoder for each way of compressing."""
_FRAGILE = {"gdcm", "pyjpegls"}
"""Decoders that a damaged frame can crash or keep busy for ever."""


def decode_pixels(members: Sequence[Instance]) -> tuple[Num[np.ndarray, "frame row column"], tuple[str, ...]]:
    """Decode all frames of one scan to grey values.

    Args:
        members: The files of the scan, in order.

    Returns:
        The grey values, and sentences about what was done to them.

    Raises:
        VolumeReadError: If pixels are missing, cut short, of another size than stated, coloured or undecodable.
    """
    first = members[0]
    frames = sum(instance.shape[0] for instance in members)
    bits = int(first.header.get("BitsAllocated", 8))
    stored_bytes = sum(instance.path.stat().st_size for instance in members)
    needed = check_size((frames, *first.shape[1:]), max(bits // 8, 1), stored_bytes)
    blocks: list[np.ndarray] = []
    notes: tuple[str, ...] = ()
    apart: list[Dataset] = []
    for instance in members:
        dataset = read_dataset(instance.path, pixels=True)
        if _decoder_of(dataset) in _FRAGILE:
            _check_pixels(dataset, instance.shape)
            del dataset.PixelData
            apart.append(dataset)
            continue
        block, notes = _grey(dataset, _decode_here(dataset, instance.shape), instance.shape)
        blocks.append(block)
    if apart and blocks:
        raise VolumeReadError("frames are compressed in several ways; wanted one; keep one series per folder")
    if apart:
        decoded = decode_apart([instance.path for instance in members], _decoder_of(apart[0]), needed)
        pairs = zip(members, apart, decoded, strict=True)
        done = [_grey(dataset, frame, instance.shape) for instance, dataset, frame in pairs]
        blocks, notes = [block for block, _ in done], done[0][1]
    if len({block.dtype for block in blocks}) > 1:
        raise VolumeReadError("frames hold samples of different types; wanted one; keep one series per folder")
    return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks)), notes


def decode_picture(path: Path) -> Num[np.ndarray, "row column *channel"]:
    """Decode a photograph of one frame to grey, or to red, green and blue where they differ.

    Raises:
        VolumeReadError: If pixels are missing, cut short, of another size than stated, or undecodable.
    """
    dataset = read_dataset(path, pixels=True)
    shape = (1, int(dataset.get("Rows", 0)), int(dataset.get("Columns", 0)))
    decoder = _decoder_of(dataset)
    if decoder in _FRAGILE:
        _check_pixels(dataset, shape)
        decoded = decode_apart([path], decoder, len(dataset.PixelData))[0]
    else:
        decoded = _decode_here(dataset, shape)
    if int(dataset.get("SamplesPerPixel", 1)) == 1:
        return _grey(dataset, decoded, shape)[0][0]
    colours = decoded.reshape(*shape[1:], 3)
    is_grey = (colours == colours[..., :1]).all()
    return np.ascontiguousarray(colours[..., 0] if is_grey else colours)


def _decoder_of(dataset: "Dataset") -> str:
    """The decoder of a file, empty where it is not compressed."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return ""
    if syntax not in _DECODERS:
        raise VolumeReadError(
            f"is compressed as {syntax.name}, which is not decoded; wanted RLE, JPEG, JPEG-LS or JPEG 2000; "
            "export it without compression"
        )
    return _DECODERS[syntax]


def _decode_here(dataset: "Dataset", shape: tuple[int, int, int]) -> Shaped[np.ndarray, "..."]:
    from pydicom.pixels import pixel_array

    _check_pixels(dataset, shape)
    return pixel_array(dataset, decoding_plugin=_decoder_of(dataset))


def _check_pixels(dataset: "Dataset", shape: tuple[int, int, int]) -> None:
    """Compare what the header promises with the pixels that are there."""
    samples = int(dataset.get("SamplesPerPixel", 1))
    bits = int(dataset.get("BitsAllocated", 0))
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if "PixelData" not in dataset:
        raise VolumeReadError(
            "header describes an image and no pixels follow; wanted pixel data; "
            "the file is cut short or was stripped: export it again"
        )
    is_grey = samples == 1 and photometric in _GREY
    if bits not in {8, 16, 32} or not (is_grey or (samples == 3 and photometric in _COLOUR)):
        # what stands there in the place of a known word may be anything, a name among it
        meaning = photometric if photometric in {*_GREY, *_COLOUR, "PALETTE COLOR"} else "something else"
        raise VolumeReadError(
            f"stores {samples} samples of {bits} bits per pixel as {meaning}; wanted grey values of 8, 16 or 32 bits; "
            "export it as grey"
        )
    got = len(dataset.PixelData)
    needed = check_size((*shape, samples), bits // 8, got)
    if _decoder_of(dataset):
        _check_frames(dataset, shape)
        return
    if photometric == "YBR_FULL_422":
        needed = needed * 2 // 3
    if got not in {needed, needed + needed % 2}:
        raise VolumeReadError(
            f"holds {got} bytes of pixels; wanted the {needed} that its header promises; "
            "the file is cut short or its header is wrong: copy or export it again"
        )


def _grey(
    dataset: "Dataset", decoded: Shaped[np.ndarray, "..."], shape: tuple[int, int, int]
) -> tuple[Num[np.ndarray, "frame row column"], tuple[str, ...]]:
    """Decoded samples as grey values of which the larger are the brighter."""
    samples = int(dataset.get("SamplesPerPixel", 1))
    values = decoded.reshape(*shape, samples)
    grey = values[..., 0] if samples == 1 else np.stack([grey_of_channels(frame) for frame in values])
    grey = grey.astype(grey.dtype.newbyteorder("="), copy=False)
    notes: tuple[str, ...] = ()
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        signed = int(dataset.get("PixelRepresentation", 0)) == 1
        stored = int(dataset.get("BitsStored", dataset.BitsAllocated))
        grey = grey.dtype.type(-1 if signed else 2**stored - 1) - grey
        notes = ("stored with white as the smallest value; turned over so that bright is large",)
    slope, intercept = (float(dataset.get(name) or unscaled) for name, unscaled in _RESCALE)
    if (slope, intercept) != (1.0, 0.0):
        grey = grey.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    return np.ascontiguousarray(grey), notes


_RESCALE = (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0))


def _check_frames(dataset: "Dataset", shape: tuple[int, int, int]) -> None:
    """Compare the number and the size of the compressed frames with the header, before a decoder sees them."""
    from pydicom.encaps import generate_frames

    offsets = None
    if "ExtendedOffsetTable" in dataset and "ExtendedOffsetTableLengths" in dataset:
        offsets = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    count = 0
    for frame in generate_frames(dataset.PixelData, number_of_frames=shape[0], extended_offsets=offsets):
        count += 1
        # RLE has no size of its own and expands at most 64 times.
        if dataset.file_meta.TransferSyntaxUID != _RLE and codestream_size(frame) != shape[1:]:
            size = codestream_size(frame)
            stated = "no picture that is known" if size is None else f"a picture of {size[0]} x {size[1]}"
            raise VolumeReadError(
                f"frame {count} holds {stated}; wanted the {shape[1]} x {shape[2]} of its header; "
                "the file is damaged or its header is wrong: export it again"
            )
    if count != shape[0]:
        raise VolumeReadError(
            f"holds {count} frames; wanted the {shape[0]} that its header promises; "
            "the file is cut short or its header is wrong: export it again"
        )


def codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 frame states itself; None where it is none of these.

    Example:
        >>> codestream_size(bytes.fromhex("ffd8 ffc0 000b 08 0010 0020 01 01 11 00"))
        (16, 32)
    """
    if frame.startswith(b"\xff\x4f\xff\x51"):
        right, bottom, left, top = (int.from_bytes(frame[at : at + 4], "big") for at in (8, 12, 16, 20))
        return bottom - top, right - left
    if not frame.startswith(b"\xff\xd8"):
        return None
    position = 2
    while position + 9 <= len(frame) and frame[position] == 0xFF:
        marker = frame[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        is_frame_header = marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC})
        if is_frame_header:
            return int.from_bytes(frame[position + 5 : position + 7], "big"), int.from_bytes(
                frame[position + 7 : position + 9], "big"
            )
        position += 2 + int.from_bytes(frame[position + 2 : position + 4], "big")
    return None
