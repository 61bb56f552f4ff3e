"""Whatever is in a file, it gives a volume or an error of ours, soon, in little memory, and no word of a patient.

A name, a number and UIDs that stand for the patient's are in every header, and none of them may be in any message, log
record or text form of what is returned.
"""

import logging
import time
import tracemalloc
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from tds_clinical.dicom import inspect_study, read_sequences, read_series, read_source, scan_folder
from tds_clinical.errors import ClinicalError
from tds_clinical.testing import (
    ClassicSeriesOptions,
    EnhancedSeriesOptions,
    MosaicSeriesOptions,
    write_classic_series,
    write_enhanced_series,
    write_mosaic_series,
)
from tds_clinical.testing.damage import damage_file
from tds_data.errors import DataError
from tds_data.volume import Volume

CANARIES = ("zzqx", "4711004711", "2.25.987654321")
PATIENT = {
    "PatientName": "Zzqx^Zzqx",
    "PatientID": "4711004711",
    "StudyInstanceUID": "2.25.9876543211",
    "SeriesInstanceUID": "2.25.9876543212",
    "FrameOfReferenceUID": "2.25.9876543213",
    "SeriesDescription": "AX T1 Zzqx",
    "InstitutionName": "Zzqx clinic",
}
KINDS = ("classic", "enhanced", "legacy", "mosaic", "rle", "deflated", "implicit", "big endian")
MOST_SECONDS = 5.0
MOST_COMMON_BYTES = 16 << 20


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[bytes]]:
    """The files of a small series of each kind."""
    folder = tmp_path_factory.mktemp("originals")
    volume = Volume(np.random.default_rng(5).integers(0, 900, (8, 8, 4)).astype(np.uint16), np.diag([1.0, 1, 2, 1]))
    classic = ClassicSeriesOptions(tags=PATIENT)
    made = {
        "classic": write_classic_series(volume, folder / "classic", classic),
        "enhanced": [write_enhanced_series([volume], folder / "e.dcm", EnhancedSeriesOptions(tags=PATIENT))],
        "legacy": [write_enhanced_series([volume], folder / "l.dcm", EnhancedSeriesOptions(tags=PATIENT, legacy=True))],
        "mosaic": write_mosaic_series([volume], folder / "mosaic", MosaicSeriesOptions(series=classic)),
    }
    for kind, syntax in (
        ("deflated", DeflatedExplicitVRLittleEndian),
        ("implicit", ImplicitVRLittleEndian),
        ("big endian", ExplicitVRBigEndian),
        ("rle", RLELossless),
    ):
        made[kind] = write_classic_series(volume, folder / kind, classic)
        for path in made[kind]:
            recode(path, syntax)
    return {kind: [path.read_bytes() for path in sorted(paths)] for kind, paths in made.items()}


def recode(path: Path, syntax: UID) -> None:
    dataset = pydicom.dcmread(path)
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        path, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=syntax != ExplicitVRBigEndian
    )


class Listener(logging.Handler):
    """Keeps what every logger says."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.getMessage()} {record.args}")


@pytest.fixture
def heard() -> Iterator[list[str]]:
    listener, root = Listener(), logging.getLogger()
    level = root.level
    root.addHandler(listener)
    root.setLevel(logging.DEBUG)
    yield listener.said
    root.setLevel(level)
    root.removeHandler(listener)


def everything(folder: Path) -> Iterator[str]:
    """Use a folder in every way and yield all texts that come of it."""
    try:
        table = inspect_study(folder)
        yield f"{table} {table.to_dict()}"
        scan = scan_folder(folder, pass_over_damage=True)
        yield repr(scan)
        for series in scan.series:
            try:
                yield repr(read_series(series, resample=True).shape)
                yield repr(read_source(series, resample=True))
            except ClinicalError as error:
                yield f"{error} {error!r}"
        yield repr(read_sequences(folder))
    except (ClinicalError, DataError) as error:
        yield f"{error} {error!r}"


def hold_to_it(originals: dict[str, list[bytes]], folder: Path, seed: int, heard: list[str]) -> None:
    kind = KINDS[seed % len(KINDS)]
    for n, content in enumerate(originals[kind]):
        (folder / f"{n}.dcm").write_bytes(damage_file(content, seed) if n == seed % len(originals[kind]) else content)
    before = sorted(folder.parent.rglob("*"))
    start = time.process_time()
    texts = [*everything(folder), *heard]
    assert time.process_time() - start < MOST_SECONDS
    for text in texts:
        for canary in CANARIES:
            assert canary not in text.lower(), text
    assert sorted(folder.parent.rglob("*")) == before
    heard.clear()
    for path in folder.iterdir():
        path.unlink()


def run(originals: dict[str, list[bytes]], folder: Path, seeds: range, heard: list[str]) -> None:
    folder /= "zzqx"
    folder.mkdir()
    for seed in seeds:
        try:
            hold_to_it(originals, folder, seed, heard)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("first", range(0, 480, 60))
def test_damaged_files_give_volumes_or_errors_of_ours(
    originals: dict[str, list[bytes]], tmp_path: Path, heard: list[str], first: int
) -> None:
    run(originals, tmp_path, range(first, first + 60), heard)


@pytest.mark.parametrize("seed", [1835, 3332, 3665, 3728, 4416, 5580, 6012])
def test_what_once_failed_is_held_to_it(
    originals: dict[str, list[bytes]], tmp_path: Path, heard: list[str], seed: int
) -> None:
    run(originals, tmp_path, range(seed, seed + 1), heard)


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(1000, 11000, 500))
def test_ten_thousand_damaged_files_give_volumes_or_errors_of_ours(
    originals: dict[str, list[bytes]], tmp_path: Path, heard: list[str], first: int
) -> None:
    run(originals, tmp_path, range(first, first + 500), heard)


@pytest.mark.parametrize("kind", KINDS)
def test_the_undamaged_files_are_read(originals: dict[str, list[bytes]], tmp_path: Path, kind: str) -> None:
    for n, content in enumerate(originals[kind]):
        (tmp_path / f"{n}.dcm").write_bytes(content)
    (series,) = scan_folder(tmp_path).series
    assert read_series(series).shape == (8, 8, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "claims",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 2**31 - 1},
        {"Rows": 65535, "Columns": 65535, "NumberOfFrames": 1000},
        {"BitsAllocated": 64, "Rows": 40000},
        {"SamplesPerPixel": 65535, "Rows": 40000},
    ],
)
def test_no_memory_is_spent_on_pixels_that_are_not_there(
    originals: dict[str, list[bytes]], tmp_path: Path, kind: str, claims: dict[str, int]
) -> None:
    for n, content in enumerate(originals[kind]):
        path = tmp_path / f"{n}.dcm"
        path.write_bytes(content)
        claim(path, claims)
    tracemalloc.start()
    texts = list(everything(tmp_path))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(texts) > 1
    assert peak_bytes < MOST_COMMON_BYTES


@pytest.mark.parametrize("written", [b"ZZQX", b"9" * 400, b"0 ", b"\xff\xff"])
def test_no_count_of_tiles_is_trusted_or_repeated(
    originals: dict[str, list[bytes]], tmp_path: Path, written: bytes
) -> None:
    dataset = pydicom.dcmread(BytesIO(originals["mosaic"][0]))
    dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "UN", written)
    dataset.save_as(tmp_path / "m.dcm")
    (series,) = scan_folder(tmp_path).series
    with pytest.raises(ClinicalError, match="the number of slices in the mosaic is") as raised:
        read_series(series)
    assert "ZZQX" not in str(raised.value)


def claim(path: Path, claims: dict[str, int]) -> None:
    dataset = pydicom.dcmread(path)
    for keyword, value in claims.items():
        setattr(dataset, keyword, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(path)
