"""Miniature data sets as others lay them out: a few files of a few bytes in the right folders, with planted facts."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from formats.written_scans import eye as bscans
from formats.written_scans import opt_dataset, write_dicom


def array(path: Path, shape: tuple[int, ...] = (2, 3, 4), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8))
    return path


def archive(path: Path, **arrays: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: np.asarray(value) for name, value in arrays.items()})
    return path


def picture(path: Path, size: tuple[int, int] = (6, 4), level: int = 0) -> Path:
    """A grey picture of rows x columns that is not all the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = (np.arange(np.prod(size)).reshape(size) * 3 + level) % 251
    Image.fromarray(values.astype(np.uint8)).save(path)
    return path


def picture_with_segmentation(path: Path, level: int = 0) -> Path:
    """A grey B-scan of 512 columns, and right of it as many columns of colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = ((np.add.outer(np.arange(4) * 7, np.arange(512)) + level) % 251).astype(np.uint8)
    Image.fromarray(np.hstack([np.dstack([grey] * 3), np.dstack([grey // 64 * 80, 255 - grey, grey * 0])])).save(path)
    return path


def nifti(path: Path, shape: tuple[int, int, int] = (3, 4, 5)) -> Path:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), path)
    return path


def analyze(header: Path) -> Path:
    """A pair of files of ANALYZE 7.5."""
    import nibabel

    header.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.AnalyzeImage(np.arange(24, dtype=np.uint8).reshape(2, 3, 4), np.eye(4))
    image.to_filename(str(header.with_suffix(".img")))
    header.with_suffix(".mat").unlink(missing_ok=True)
    return header


def table(path: Path, rows: Sequence[Mapping[str, object]], delimiter: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def workbook(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    import openpyxl

    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.active.append(list(rows[0]))
    for row in rows:
        book.active.append(list(row.values()))
    book.save(path)
    return path


def text(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def zenodo_onh(root: Path) -> Path:
    for name in ("POAG-001978-2012-02-08-OS", "POAG-000008-2009-02-03-OD", "Normal-000123-2010-10-20-OD"):
        array(root / f"{name}.npy", (64, 128, 64))
    return root


def ai_cnet3d_folders(root: Path) -> Path:
    for name in ("glaucoma/P017_OD", "glaucoma/visit2/P018_OS", "Non-Glaucomas/P019_OD"):
        array(root / f"{name}.npy")
    return root


def class_folders(root: Path) -> Path:
    for name in ("AMD/P1_OD", "AMD/P2_OS", "DR/deep/P3_OD", "NORMAL/P4_OS"):
        array(root / f"{name}.npy")
    return root


def harvard_gf(root: Path) -> Path:
    facts = {
        "0001": ("Training", 1, 63.4, 1, 2, 0, -3.5),
        "0002": ("Training", 0, 41, 0, 1, 1, 0.25),
        "2400": ("Validation", 1, 70, 1, 0, -1, -9),
        "3300": ("Test", 0, 55, 0, 2, 0, np.nan),
    }
    for number, (part, glaucoma, age, male, race, ethnicity, md) in facts.items():
        archive(
            root / part / f"data_{number}.npz",
            oct_bscans=np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
            rnflt=np.zeros((4, 4)),
            tds=np.zeros(52),
            glaucoma=np.array(glaucoma),
            age=np.array(float(age)),
            male=np.array(male),
            race=np.array(race),
            ethnicity=np.array(ethnicity),
            md=np.array(float(md)),
        )
    return root


def fairvision(root: Path, conditions: Callable[[str], object] = str) -> Path:
    """Three diseases; `conditions` says how the condition is stored."""
    plain = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    stages = {
        "00001": ("Training", "no.amd.diagnosis"),
        "00002": ("Training", "early.dry"),
        "07000": ("Validation", "intermediate.dry"),
        "07500": ("Test", "wet.amd.inactive.scar"),
        "07501": ("Test", "not.in.icd.table"),
    }
    for number, (part, condition) in stages.items():
        home = root / "AMD" / part
        archive(
            home / f"data_{number}.npz",
            oct_bscans=plain,
            slo_fundus=np.zeros((5, 5)),
            dr_subtype=conditions(condition),
            race=2,
            male=1,
            hispanic=0,
        )
        picture(home / f"slo_{number}.jpg")
    table(
        root / "data_summary_amd.csv",
        [
            {"filename": f"data_{number}.npz", "age": 60 + k, "amd": condition}
            for k, (number, (_, condition)) in enumerate(stages.items())
        ],
    )
    for number, part, condition in (("00001", "train", "pdr"), ("00002", "test", "mild.npdr")):
        archive(
            root / "DR" / part / f"data_{number}.npz",
            oct_bscans=plain,
            dr_subtype=conditions(condition),
            race=0,
            male=0,
        )
    for number, part, glaucoma in (("00001", "train", 1.0), ("00002", "val", 0.0), ("00003", "test", 0.0)):
        archive(root / "Glaucoma" / part / f"data_{number}.npz", oct_bscans=plain, glaucoma=glaucoma, race=1, male=0)
    return root


def harvard_gdp(root: Path) -> Path:
    for number in range(1, 4):
        archive(root / "rnflt_maps" / f"data_{number:04}.npz", rnflt=np.zeros((225, 225)), glaucoma=1, age=60.0)
    return root


def gamma(root: Path) -> Path:
    base = root / "Glaucoma_grading"
    for part, eyes in (("Training", ("0001", "0002")), ("Validation", ("0101",)), ("Testing", ("0201",))):
        for eye in eyes:
            home = base / part / "multi-modality_images" / eye
            picture(home / f"{eye}.jpg")
            for k in range(11):
                picture(home / eye / f"{k}_image.jpg", level=20 * k)
    grades = [("0001", 1, 0, 0), ("0002", 0, 0, 1)]
    names = ("data", "non", "early", "mid_advanced")
    rows = [dict(zip(names, row, strict=True)) for row in grades]
    workbook(base / "Training" / "glaucoma_grading_training_GT.xlsx", rows)
    # spreadsheets drop leading zeros
    workbook(base / "Validation" / "glaucoma_grading.xlsx", [dict(zip(names, (101, 0, 1, 0), strict=True))])
    workbook(base / "Testing" / "glaucoma_grading_testing_GT.xlsx", [dict(zip(names, ("0201", 1, 0, 0), strict=True))])
    return root


def octa_500(root: Path) -> Path:
    for folder, people, count in (("OCTA_6mm", ("10001", "10002"), 3), ("OCTA_3mm", ("10301",), 304)):
        for person in people:
            for k in range(1, count + 1):
                # of the scan with the published number of B-scans the first and the last have the published size
                is_outer = count == 304 and k in {1, count}
                picture(root / folder / "OCT" / person / f"{k}.bmp", (640, 304) if is_outer else (6, 4), k)
            for k in range(1, 3):
                picture(root / folder / "OCTA" / person / f"{k}.bmp")
            picture(root / folder / "Projection Maps" / "OCT(FULL)" / f"{person}.bmp")
    names = ("ID", "Sex", "OS/OD", "Age", "Disease")
    six = [(10001, "M", "OD", 61, "NORMAL"), (10002, "F", "OS", 47, "AMD")]
    workbook(root / "OCTA_6mm" / "Text labels.xlsx", [dict(zip(names, row, strict=True)) for row in six])
    workbook(root / "OCTA_3mm" / "Text labels.xlsx", [dict(zip(names, (10301, "F", "OS", 33, "NORMAL"), strict=True))])
    return root


def ai_readi(root: Path) -> Path:
    home = "retinal_oct/structural_oct"
    disc = f"{home}/heidelberg_spectralis/1001/1001_spectralis_onh_rc_hr_oct_oct_l_1.3.6.1.dcm"
    scans = [
        ("1001", disc, "L", "Optic Disc"),
        ("1001", f"{home}/topcon_maestro2/1001/1001_maestro2_macula_6x6_oct_r_1.2.4.dcm", "R_", "Macula"),
        ("1002", f"{home}/topcon_maestro2/1002/1002_maestro2_3d_wide_oct_l_1.2.5.dcm", "L_", "Macula, Optic Disc"),
    ]
    for _, path, eye, _ in scans:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_dicom(root / path, opt_dataset(bscans(), laterality=eye[0]))
    table(
        root / "retinal_oct" / "manifest.tsv",
        [
            {"person_id": person, "anatomic_region": area, "laterality": eye, "filepath": f"/{path}", "height": 496}
            for person, path, eye, area in scans
        ],
        "\t",
    )
    people = [("1001", "healthy", "train", 61, "UW"), ("1002", "insulin_dependent", "val", 55, "UAB")]
    names = ("person_id", "study_group", "recommended_split", "age", "clinical_site")
    table(root / "participants.tsv", [dict(zip(names, row, strict=True)) for row in people], "\t")
    text(root / "retinal_octa" / "manifest.tsv")
    text(root / "retinal_photography" / "cfp" / "1001.dcm")
    return root


def duke_amd(root: Path) -> Path:
    from scipy.io import savemat

    for name, age in (("AMD_Subject_1001", 71), ("AMD_Subject_1002", 80), ("Control_Subject_1001", 66)):
        path = root / name.split("_")[0] / f"Farsiu_Ophthalmology_2013_{name}.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        images = np.random.default_rng(age).random((5, 7, 3))
        savemat(path, {"images": images, "layerMaps": np.zeros((3, 7, 3)), "Age": float(age)})
    return root


def oimhs(root: Path) -> Path:
    for eye in ("1", "2"):
        for k in range(1, 4):
            picture_with_segmentation(root / "Images" / eye / f"{k}.png", level=10 * k + int(eye))
    return root


def oimhs_sheet(path: Path) -> Path:
    names = ("Eye ID", "Patient ID", "Eye side", "Age", "Gender")
    rows = [("1", "P1", "OD", 64, "Female"), ("2", "P1", "OS", 64, "Female")]
    return table(path, [dict(zip(names, row, strict=True)) for row in rows])


def kermany(root: Path) -> Path:
    for part, name in (
        ("train", "CNV-1016042-1"),
        ("train", "CNV-1016042-2"),
        ("train", "NORMAL-5171640-1"),
        ("val", "DRUSEN-77-1"),
        ("test", "DME-15307-1"),
    ):
        picture(root / "OCT2017" / part / name.split("-")[0] / f"{name}.jpeg")
    return root


def octdl(root: Path) -> Path:
    rows = [
        ("amd_1", "AMD", "11", "OD", "M"),
        ("amd_2", "AMD", "12", "", "F"),
        ("no_1", "NO", "13", "OS", "F"),
    ]
    for name, disease, *_ in rows:
        picture(root / "OCTDL" / disease / f"{name}.jpg")
    names = ("file_name", "disease", "patient_id", "eye", "sex")
    table(root / "OCTDL_labels.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return root


def ohsu_ad(root: Path) -> Path:
    for name in ("AD647_LIGHT_MARKED", "AD647_DARK_MARKED", "CN12_LIGHT_MARKED"):
        analyze(root / "scans" / f"{name}.hdr")
    return root


ADNI_IMAGES = (
    ("002_S_0295", "2006-11-02_08_16_44.0", "I40966"),
    ("002_S_0295", "2008-07-23_14_21_00.0", "I114212"),
    ("005_S_0221", "2006-05-04_10_00_00.0", "I33000"),
)


def adni(root: Path, tables: str = "search") -> Path:
    for subject, day, image in ADNI_IMAGES:
        name = f"ADNI_{subject}_MR_MPR__GradWarp__N3__Scaled_Br_20070219173850420_S21856_{image}.nii"
        nifti(root / "ADNI" / subject / "MPR__GradWarp__N3__Scaled" / day / image / name)
    if "search" in tables:
        names = ("Image Data ID", "Subject", "Group", "Sex", "Age", "Visit", "Acq Date")
        rows = [
            ("I40966", "002_S_0295", "CN", "M", "85", "2", "11/02/2006"),
            ("I114212", "002_S_0295", "MCI", "M", "86", "4", "7/23/2008"),
            ("I33000", "005_S_0221", "AD", "F", "68", "1", "5/04/2006"),
        ]
        table(root / "search.csv", [dict(zip(names, row, strict=True)) for row in rows])
    if "merge" in tables:
        names = ("RID", "PTID", "VISCODE", "EXAMDATE", "DX_bl", "DX", "AGE", "PTGENDER")
        rows = [
            ("295", "002_S_0295", "bl", "2006-11-10", "CN", "CN", "84.8", "Male"),
            ("295", "002_S_0295", "m24", "2008-08-01", "CN", "MCI", "84.8", "Male"),
            ("221", "005_S_0221", "bl", "2007-05-04", "AD", "Dementia", "68.4", "Female"),
        ]
        table(root / "ADNIMERGE.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return root


def oasis_1(root: Path) -> Path:
    for disc, session in (("disc1", "OAS1_0001_MR1"), ("disc1", "OAS1_0002_MR1"), ("disc2", "OAS1_0003_MR1")):
        home = root / disc / session
        analyze(home / "RAW" / f"{session}_mpr-1_anon.hdr")
        if session != "OAS1_0003_MR1":
            analyze(home / "PROCESSED" / "MPRAGE" / "T88_111" / f"{session}_mpr_n4_anon_111_t88_masked_gfc.hdr")
            analyze(home / "PROCESSED" / "MPRAGE" / "T88_111" / f"{session}_mpr_n4_anon_111_t88_gfc.hdr")
    names = ("ID", "M/F", "Hand", "Age", "MMSE", "CDR", "Delay")
    rows = [
        ("OAS1_0001_MR1", "F", "R", "74", "29", "0", "N/A"),
        ("OAS1_0002_MR1", "M", "R", "20", "", "", "N/A"),
        ("OAS1_0003_MR1", "F", "R", "73", "27", "0.5", "N/A"),
    ]
    table(root / "oasis_cross-sectional.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return root


def oasis_3(root: Path, tables: str = "adrc") -> Path:
    for session, name in (
        ("OAS30001_MR_d0129/anat2/NIFTI", "sub-OAS30001_ses-d0129_run-01_T1w.nii.gz"),
        ("OAS30001_MR_d2430/anat3", "sub-OAS30001_ses-d2430_T1w.nii.gz"),
        ("OAS30002_MR_d0050/anat1", "sub-OAS30002_ses-d0050_T1w.nii.gz"),
        ("OAS30002_MR_d0050/anat4", "sub-OAS30002_ses-d0050_T2w.nii.gz"),
    ):
        nifti(root / session / name)
    if tables == "adrc":
        names = ("ADRC_ADRCCLINICALDATA ID", "Subject", "mmse", "ageAtEntry", "cdr")
        rows = [
            ("OAS30001_ClinicalData_d0000", "OAS30001", "28", "65.1", "0.0"),
            ("OAS30001_ClinicalData_d2400", "OAS30001", "25", "65.1", "0.5"),
            ("OAS30002_ClinicalData_d0900", "OAS30002", "29", "71", "0.0"),
        ]
    else:
        names = ("OASISID", "days_to_visit", "CDRTOT")
        rows = [("OAS30001", "0000", "0"), ("OAS30001", "2400", "0.5"), ("OAS30002", "0040", "1")]
    table(root / "clinical.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return root


def bids(root: Path) -> Path:
    nifti(root / "sub-01" / "ses-1" / "anat" / "sub-01_ses-1_T1w.nii.gz")
    nifti(root / "sub-01" / "ses-2" / "anat" / "sub-01_ses-2_run-1_T1w.nii.gz")
    nifti(root / "sub-02" / "anat" / "sub-02_T1w.nii")
    nifti(root / "sub-02" / "func" / "sub-02_task-rest_bold.nii.gz")
    nifti(root / "derivatives" / "sub-02" / "anat" / "sub-02_T1w.nii.gz")
    text(root / "dataset_description.json", "{}")
    rows = [
        {"participant_id": "sub-01", "age": "70", "sex": "female", "group": "patient"},
        {"participant_id": "sub-02", "age": "n/a", "sex": "M", "group": "control"},
    ]
    table(root / "participants.tsv", rows, "\t")
    return root


def csv_table(root: Path) -> Path:
    array(root / "scans" / "a.npy")
    array(root / "scans" / "b.npy")
    names = ("file", "PTID", "DX", "side", "years", "surname", "birth date")
    rows = [
        ("scans/a.npy", "P1", "AMD", "right", "63.0", "Canarysurname", "1950-01-02"),
        ("scans/b.npy", "P2", "NORMAL", "L", "", "Canarysurname", "1950-01-03"),
    ]
    table(root / "clinic.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return root


CSV_COLUMNS = {"path": "file", "patient_id": "PTID", "label": "DX", "laterality": "side", "age": "years"}


def paired(root: Path) -> Path:
    for name in ("AMD/P1_OD", "AMD/P2_OS", "NORMAL/P3_OD"):
        picture((root / name).with_suffix(".png"))
        for k in range(1, 4):
            picture(root / name / f"oct_{k}.png", level=k)
    return root
