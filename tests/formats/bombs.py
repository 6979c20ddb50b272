"""The bombs: format, name, and what builds each in a folder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from formats.written_bioptigen import bioptigen_bytes
from formats.written_bombs import (
    LONG,
    bzip2_of,
    dicom,
    dicom_deflated,
    dicom_jpeg2000,
    dicom_jpeg2000_agreed,
    dicom_nested,
    dicom_of_empty_items,
    e2e_of_directories,
    e2e_of_marks,
    e2e_wide,
    gzip_of,
    mat5_of_structures,
    mat5_plain,
    mat73,
    mat73_of_names,
    mha,
    nifti,
    npy_header,
    npz_header_without_end,
    npz_list_of_companions,
    npz_many_pictures,
    npz_of_long_headers,
    npz_of_many_members,
    npz_of_zeros,
    npz_that_goes_on,
    npz_wide_surfaces,
    nrrd,
    octexplorer,
    pair_that_lies,
    picture,
    pictures,
    placed,
    png_of_words,
    png_of_zeros,
    png_that_lies,
    tiff_bytes,
    tiff_of_zeros,
    tiled,
    topcon,
    vol,
    vol_wide_picture,
    xlsx,
    xml,
    zeiss,
)
from formats.written_optovue import optovue_text, write_optovue
from formats.written_scans import eye
from formats.written_topcon import chunk, compressed, plain

ENTITIES = "<!DOCTYPE x [<!ENTITY a '{}'>{}]>".format(
    "Doe" * 10,
    "".join(f"<!ENTITY {chr(98 + k)} '{f'&{chr(97 + k)};' * 20}'>" for k in range(10)),
)
"""Ten entities, each of which is twenty of the one before."""

ROWS = [b"<row><c><v>1</v></c></row>" * 10_000] * 800
STYLES = [b"<xf numFmtId='0'/>" * 10_000] * 1200

BOMBS: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("numpy", "npz-of-zeros", npz_of_zeros),
    ("numpy", "npz-that-goes-on", npz_that_goes_on),
    ("numpy", "npz-of-long-headers", npz_of_long_headers),
    ("numpy", "npz-header-without-end", npz_header_without_end),
    ("numpy", "npz-of-many-members", npz_of_many_members),
    ("numpy", "npy-that-lies", lambda folder: placed(folder, "a.npy", npy_header("(4096, 4096, 4096)"))),
    ("numpy", "npy-of-nested-lists", lambda folder: placed(folder, "a.npy", npy_header("(" * 9000 + ")" * 9000))),
    ("nifti", "gz-of-zeros", lambda folder: nifti(folder, *[(at, "<h", 600) for at in (42, 44, 46)])),
    ("nifti", "gz-that-goes-on", nifti),
    ("nifti", "gz-voxels-far-behind", lambda folder: nifti(folder, (108, "<f", 2.0e9), long=2 * LONG)),
    ("nifti", "gz-long-extension", lambda folder: nifti(folder, (348, "<I", 1), (108, "<f", 2.0e9), long=2 * LONG)),
    ("nifti", "nii-that-lies", lambda folder: nifti(folder, (42, "<h", 32_000), (44, "<h", 16_000), packed=False)),
    ("analyze", "pair-that-lies", pair_that_lies),
    ("picture", "png-of-zeros", lambda folder: picture(folder, png_of_zeros)),
    ("picture", "png-that-lies", lambda folder: picture(folder, png_that_lies)),
    ("tiff", "page-of-zeros", tiff_of_zeros),
    ("tiff", "pages-without-end", lambda folder: placed(folder, "a.tif", tiff_bytes(60_000, 1))),
    ("tiff", "pages-of-many-strips", lambda folder: placed(folder, "a.tif", tiff_bytes(1000, 100_000))),
    ("dicom", "deflated-zeros", dicom_deflated),
    ("dicom", "frames-that-lie", lambda folder: dicom(folder, NumberOfFrames=2_000_000, Rows=60_000)),
    ("dicom", "jpeg2000-that-lies", dicom_jpeg2000),
    ("dicom", "jpeg2000-of-nothing", dicom_jpeg2000_agreed),
    ("dicom", "nested-sequences", dicom_nested),
    ("dicom", "empty-items", lambda folder: dicom_of_empty_items(folder, open_end=False)),
    ("dicom", "empty-items-without-length", lambda folder: dicom_of_empty_items(folder, open_end=True)),
    ("image-folder", "png-of-zeros", lambda folder: pictures(folder, png_of_zeros)),
    ("image-folder", "png-that-lies", lambda folder: pictures(folder, png_that_lies)),
    ("image-folder", "png-of-words", lambda folder: pictures(folder, png_of_words)),
    (
        "image-folder",
        "tif-pages-without-end",
        lambda folder: pictures(folder, lambda path: path.write_bytes(tiff_bytes(60_000, 1)), ".tif"),
    ),
    ("topcon", "empty-frame", lambda folder: topcon(folder, compressed(np.zeros((1, 4096, 4096), np.uint8)))),
    (
        "topcon",
        "fda-that-lies",
        lambda folder: topcon(folder, compressed(eye(), stated={"bscans": 1000, "depth": 60_000})),
    ),
    ("topcon", "fds-that-lies", lambda folder: topcon(folder, plain(eye(), stated={"bscans": 2**16, "size": 2**30}))),
    (
        "topcon",
        "chunks",
        lambda folder: topcon(folder, b"".join([chunk("@CONTOUR_INFO", b"", 2**31)] * 20_000)),
    ),
    ("topcon", "tiles", lambda folder: topcon(folder, tiled())),
    ("heidelberg-e2e", "marks", e2e_of_marks),
    ("heidelberg-e2e", "directories", e2e_of_directories),
    ("heidelberg-e2e", "samples", e2e_wide),
    ("heidelberg-vol", "bscans", lambda folder: vol(folder, bscans=2**31 - 1)),
    ("heidelberg-vol", "samples", lambda folder: vol(folder, ascans=2**30, depth=2**30)),
    ("heidelberg-vol", "headers", lambda folder: vol(folder, header_bytes=2**31 - 1)),
    ("heidelberg-vol", "picture", vol_wide_picture),
    ("matlab", "structures", mat5_of_structures),
    ("matlab", "zeros-5", mat5_plain),
    ("matlab", "zeros-73", mat73),
    ("matlab", "names-73", mat73_of_names),
    ("metaimage", "zeros", lambda folder: mha(folder, "600 600 600")),
    ("metaimage", "goes-on", lambda folder: mha(folder, "16 12 4")),
    ("metaimage", "digits", lambda folder: mha(folder, " ".join(["9" * 4000] * 3))),
    ("metaimage", "header", lambda folder: placed(folder, "a.mha", b"ObjectType = Image\n" + b"x" * 2**21)),
    ("nrrd", "gzip", lambda folder: nrrd(folder, "600 600 600", "gzip", gzip_of(b""))),
    ("nrrd", "bzip2", lambda folder: nrrd(folder, "600 600 600", "bzip2", bzip2_of())),
    ("nrrd", "bzip2-goes-on", lambda folder: nrrd(folder, "16 12 4", "bzip2", bzip2_of())),
    ("nrrd", "lines", lambda folder: nrrd(folder, "16 12 4", "raw", eye().tobytes(), **{"line skip": "999999999"})),
    ("heidelberg-xml", "entities", lambda folder: xml(folder, f"<?xml version='1.0'?>{ENTITIES}", "&k;")),
    ("heidelberg-xml", "nesting", lambda folder: xml(folder, "", "<a>" * 200_000 + "</a>" * 200_000)),
    ("heidelberg-xml", "elements", lambda folder: xml(folder, "", "<a/>" * 2_000_000)),
    (
        "heidelberg-xml",
        "attributes",
        lambda folder: xml(folder, "", "<a " + " ".join(f"a{number}=''" for number in range(600_000)) + "/>"),
    ),
    ("zeiss-img", "profile", lambda folder: zeiss(folder, '{"shape": [2147483647, 2147483647, 2147483647]}')),
    ("zeiss-img", "nested-profile", lambda folder: zeiss(folder, "[" * 16_000)),
    (
        "bioptigen-oct",
        "frames",
        lambda folder: placed(folder, "a.OCT", bioptigen_bytes(eye(), stated={"FRAMECOUNT": 2**32 - 1})),
    ),
    (
        "bioptigen-oct",
        "lines",
        lambda folder: placed(
            folder, "a.OCT", bioptigen_bytes(eye(), stated={"LINECOUNT": 2**31, "LINELENGTH": 2**31})
        ),
    ),
    ("optovue-oct", "steps", lambda folder: write_optovue(folder, eye(), optovue_text((2**40, 12, 16)))),
    ("optovue-oct", "text", lambda folder: write_optovue(folder, eye(), optovue_text((4, 12, 16)) + "a=b\n" * 2**19)),
]
"""Format, name, and what builds the bomb in a folder: read as a scan."""

BESIDE: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("numpy", "list-of-companions", npz_list_of_companions),
    ("numpy", "wide-surfaces", npz_wide_surfaces),
    ("numpy", "many-pictures", npz_many_pictures),
]
"""The same: read for what comes with a scan."""

SURFACES: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("octexplorer", "entities", lambda folder: octexplorer(folder, f"<?xml version='1.0'?>{ENTITIES}")),
    ("octexplorer", "sizes", lambda folder: octexplorer(folder, z="999999999", x="999999999", surface_num="999999")),
]
"""The same: read as OCTExplorer's surfaces."""

SPREADSHEETS: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("xlsx", "rows", lambda folder: xlsx(folder, cells=ROWS)),
    ("xlsx", "styles", lambda folder: xlsx(folder, styles=STYLES)),
    ("xlsx", "entities", lambda folder: xlsx(folder, beginning=ENTITIES)),
]
"""The same: read as a spreadsheet beside scans."""

FACTS: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("numpy", "header-without-end", npz_header_without_end),
    ("numpy", "many-members", npz_of_many_members),
    ("numpy", "long-headers", lambda folder: npz_of_long_headers(folder, 250)),
]
"""The same: asked for the facts that data sets keep in archives."""
