import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.testing import (
    ClassicSeriesOptions,
    EnhancedSeriesOptions,
    write_classic_series,
    write_classic_study,
    write_enhanced_series,
)
from tds_data import Case, Modality, Volume

Tds = Callable[..., tuple[int, str, str]]


@pytest.fixture
def volume() -> Volume:
    return Volume(np.random.default_rng(3).integers(0, 900, (8, 8, 4)).astype(np.uint16), np.eye(4))


@pytest.fixture
def dicom_study(volume: Volume, tmp_path: Path) -> Path:
    """Four sequences, and a series that names a patient and cannot become a volume."""
    folder = tmp_path / "study"
    write_classic_study(Case(name="made-up", images=dict.fromkeys(Modality, volume)), folder)
    tags = {"SeriesDescription": "COR T1 Zzqx^Jane 4711004711 +C", "PixelSpacing": None}
    odd = ClassicSeriesOptions(series_number=9, modality=Modality.T1CE, tags=tags)
    write_classic_series(volume, folder / "odd", odd)
    (folder / "readme.txt").write_text("x")
    return folder


def test_the_series_are_shown_with_reasons(tds: Tds, dicom_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    code, out, err = tds("dicom", "inspect", dicom_study)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["series", "read", "as", "guess", "sure", "voxels", "mm", "plane"]
    assert max(map(len, lines)) <= 80
    (first,) = [line for line in lines if line.startswith("2 ")]
    assert first.split()[:4] == ["2", "t1ce", "t1ce", "0.95"]
    assert "    AX T1 MPRAGE POST GAD; classic; TR 1900, TE 2.5, TI 900 ms; contrast agent" in lines
    assert "    because text and timing agree on T1; contrast agent named by text and tag" in lines
    assert "    taken before others because it can be read" in lines
    assert "no usable PixelSpacing" in " ".join(out.split())
    assert lines[-1] == "files that are no MR images: no DICOM 1"


def test_nothing_that_names_the_patient_is_shown(tds: Tds, dicom_study: Path) -> None:
    for options in ((), ("--json",)):
        _, out, _ = tds("dicom", "inspect", dicom_study, *options)
        for canary in ("Zzqx", "4711004711", "PHANTOM", "1.2.826"):
            assert canary not in out
    _, out, _ = tds("dicom", "inspect", dicom_study, "--descriptions")
    assert "COR T1 Zzqx^Jane 4711004711 +C" in out


def test_an_archive_is_inspected_as_json(tds: Tds, dicom_study: Path, tmp_path: Path) -> None:
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in dicom_study.rglob("*"):
            packed.write(path, path.relative_to(dicom_study))
    code, out, _ = tds("dicom", "inspect", archive, "--json")
    assert code == 0
    document = json.loads(out)
    assert [row["chosen"] for row in document["series"]] == ["t1", "t1ce", "t2", "flair", None]
    assert document["ignored"] == {"no DICOM": 1}


def test_an_override_is_tried_out(tds: Tds, dicom_study: Path) -> None:
    code, out, _ = tds("dicom", "inspect", dicom_study, "--series", "t1=2", "--series", "flair=3")
    assert code == 0
    assert "chosen by you; by itself: text and timing agree on T2" in out


def test_disputes_and_damage_are_told(tds: Tds, dicom_study: Path, volume: Volume) -> None:
    write_classic_series(volume, dicom_study / "twin", ClassicSeriesOptions(series_number=7))
    path = min((dicom_study / "series003").iterdir())
    path.write_bytes(path.read_bytes()[:700])
    code, out, _ = tds("dicom", "inspect", dicom_study)
    assert code == 0
    joined = " ".join(out.split())
    assert "to be settled: series 1, series 7 could each be the t1 sequence" in joined
    assert f"damaged: cannot read '{path.name}'" in joined


def test_what_is_unknown_is_a_dash(tds: Tds, dicom_study: Path) -> None:
    for path in dicom_study.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        for keyword in ("Rows", "ImageOrientationPatient", "SeriesNumber", "EchoTime", "RepetitionTime"):
            delattr(dataset, keyword)
        if "InversionTime" in dataset:
            del dataset.InversionTime
        dataset.save_as(path)
    _, out, _ = tds("dicom", "inspect", dicom_study)
    assert [line.split()[0] for line in out.splitlines()[1:] if line.startswith("-")] == ["-"] * 5
    assert "no timing recorded" in out


def test_volumes_of_a_series_that_are_alike_are_told_together(tds: Tds, volume: Volume, tmp_path: Path) -> None:
    volumes = [volume.with_voxels(volume.voxels + n) for n in range(5)]
    options = EnhancedSeriesOptions(series_number=3, tags={"SeriesDescription": "EPI fMRI"})
    write_enhanced_series(volumes, tmp_path / "e.dcm", options)
    code, out, _ = tds("dicom", "inspect", tmp_path)
    assert code == 0
    assert out.splitlines()[1].startswith("3.1 to 3.5  -")
    assert "EPI fMRI; 5 volumes; enhanced" in out
    _, out, _ = tds("dicom", "inspect", tmp_path, "--series", "t1=3.2")
    shown = [line.partition("  ")[0] for line in out.splitlines()[1:] if not line.startswith(" ")]
    assert shown == ["3.1", "3.2", "3.3 to 3.5"]
    _, out, _ = tds("dicom", "inspect", tmp_path, "--json")
    assert len(json.loads(out)["series"]) == 5


def test_a_path_that_is_not_there_is_a_usage_error_without_the_path(tds: Tds, tmp_path: Path) -> None:
    code, _, err = tds("dicom", "inspect", tmp_path / "Doe_Jane")
    assert code == 2
    assert "Doe" not in err


@pytest.mark.parametrize("content", [b"PK\x03\x04 broken", b"text"])
def test_what_holds_no_study_is_refused(tds: Tds, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    code, _, err = tds("dicom", "inspect", tmp_path / "a")
    assert code == 3
    assert "archive" in err or "no DICOM MR image" in err


def test_the_group_has_a_help(tds: Tds) -> None:
    code, out, _ = tds("dicom", "--help")
    assert code == 0
    assert "inspect" in out
