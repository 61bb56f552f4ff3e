"""Which of several series of one sequence is taken, and how T1 before and after contrast agent are told apart."""

from pathlib import Path

import numpy as np
import pytest

from tds_clinical.dicom import IdentifiedSeries, read_sequences, reading_notes
from tds_clinical.errors import AmbiguousSeries
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_clinical.testing.classic_series import TagValue
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

T1, T1CE = Modality.T1, Modality.T1CE
MUTE_T1 = {"SeriesDescription": "t1_mprage_iso"}


def scaled(volume: Volume, *spacing_mm: float) -> Volume:
    affine = np.diag([*spacing_mm, 1.0])
    return Volume(volume.voxels, affine)


def write(folder: Path, number: int, volume: Volume, modality: Modality = T1, /, **tags: TagValue | None) -> None:
    options = ClassicSeriesOptions(series_number=number, modality=modality, tags=dict(tags))
    write_classic_series(volume, folder / str(number), options)


def read(folder: Path) -> dict[int | None, IdentifiedSeries]:
    return {entry.files.number: entry for entry in read_sequences(folder).series}


@pytest.fixture
def cube() -> Volume:
    return Volume(np.random.default_rng(3).integers(0, 900, (8, 8, 8)).astype(np.uint16), np.eye(4))


def test_an_original_is_preferred_to_a_reformat(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, ImageType=["DERIVED", "SECONDARY", "MPR"])
    write(tmp_path, 2, cube, ImageType=["DERIVED", "PRIMARY", "M"])
    write(tmp_path, 3, cube)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2, 3)] == [None, None, T1]
    assert series[3].preferred_because == "it is an original rather than computed"
    assert series[1].preferred_because == ""


def test_what_is_computed_is_still_preferred_to_what_was_cut_anew(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    write(tmp_path, 2, cube, ImageType=["DERIVED", "PRIMARY", "M"])
    assert read(tmp_path)[2].modality is T1


def test_thinner_slices_are_preferred(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, Volume(cube.voxels[:, :, :2], np.diag([0.5, 0.5, 5.0, 1.0])), MRAcquisitionType="2D")
    write(tmp_path, 2, cube)
    series = read(tmp_path)
    assert series[2].modality is T1
    assert series[2].preferred_because == "its slices are thinner"


def test_a_scan_that_was_broken_off_is_not_preferred(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, Volume(cube.voxels[:, :, :3], np.eye(4)))
    write(tmp_path, 2, cube)
    assert read(tmp_path)[2].preferred_because == "it covers more of the head"


def test_a_slab_is_preferred_to_single_slices(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, MRAcquisitionType="2D")
    write(tmp_path, 2, cube, MRAcquisitionType="3D")
    assert read(tmp_path)[2].preferred_because == "it was acquired as a slab"


def test_an_axial_series_is_preferred(cube: Volume, tmp_path: Path) -> None:
    order = np.eye(4)[:, [1, 2, 0, 3]]
    write(tmp_path, 1, Volume(cube.voxels.transpose(1, 2, 0), order))
    write(tmp_path, 2, cube)
    assert read(tmp_path)[2].preferred_because == "it is axial"


def test_finer_pixels_are_preferred(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, scaled(cube, 1.0, 1.0, 1.0))
    write(tmp_path, 2, scaled(cube, 0.5, 0.5, 1.0))
    assert read(tmp_path)[2].preferred_because == "its pixels are finer"


def test_a_corrected_copy_is_preferred(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, ImageType=["ORIGINAL", "PRIMARY", "M", "ND"])
    write(tmp_path, 2, cube, ImageType=["ORIGINAL", "PRIMARY", "M", "NORM", "DIS3D"])
    assert read(tmp_path)[2].preferred_because == "it is corrected for distortion or brightness"


def test_a_series_that_can_become_no_volume_is_passed_over(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, PixelSpacing=None)
    write(tmp_path, 2, cube)
    assert read(tmp_path)[2].preferred_because == "it can be read"


def test_what_was_preferred_is_noted_with_the_result(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, MRAcquisitionType="2D")
    write(tmp_path, 2, cube, MRAcquisitionType="3D")
    note = reading_notes(read_sequences(tmp_path))[0]
    assert note.message == "series 2 was read as t1, preferred because it was acquired as a slab"


def test_of_two_equal_series_after_contrast_the_later_is_taken(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, T1CE, AcquisitionTime="121000")
    write(tmp_path, 2, cube, T1CE, AcquisitionTime="121500.5")
    assert read(tmp_path)[2].preferred_because == "it was taken later"


def test_of_two_equal_series_before_contrast_none_is_taken(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, AcquisitionTime="121000")
    write(tmp_path, 2, cube, AcquisitionTime="121500")
    with pytest.raises(AmbiguousSeries, match=r"series 1, series 2 could each be the t1 sequence.*override"):
        read_sequences(tmp_path)


def test_of_two_series_after_contrast_without_times_none_is_taken(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, T1CE, AcquisitionTime=None)
    write(tmp_path, 2, cube, T1CE)
    with pytest.raises(AmbiguousSeries, match="t1ce"):
        read_sequences(tmp_path)


def test_the_time_of_injection_tells_t1_from_t1ce(cube: Volume, tmp_path: Path) -> None:
    agent = {"ContrastBolusAgent": "Gadovist", "ContrastBolusStartTime": "123000", **MUTE_T1}
    write(tmp_path, 1, cube, AcquisitionTime="122000", **agent)
    write(tmp_path, 2, cube, AcquisitionTime="124000", **agent)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2)] == [T1, T1CE]
    assert "before any was given" in series[1].guess.reason
    assert series[1].guess.confidence == pytest.approx(0.8)


def test_a_series_after_one_with_contrast_has_it_too(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, AcquisitionTime="120000", **MUTE_T1)
    write(tmp_path, 2, cube, Modality.T2, AcquisitionTime="121000", ContrastBolusAgent="Dotarem")
    write(tmp_path, 3, cube, AcquisitionTime="122000", **MUTE_T1)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2, 3)] == [T1, Modality.T2, T1CE]
    assert "after one was given" in series[3].guess.reason


def test_perfusion_marks_the_injection(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, AcquisitionTime="120000", **MUTE_T1)
    write(tmp_path, 2, cube, AcquisitionTime="121000", SeriesDescription="ep2d_perf DSC")
    write(tmp_path, 3, cube, AcquisitionTime="122000", **MUTE_T1)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2, 3)] == [T1, None, T1CE]


def test_a_tag_that_every_series_has_tells_nothing_where_words_and_order_do(cube: Volume, tmp_path: Path) -> None:
    agent = {"ContrastBolusAgent": "Gadovist"}
    write(tmp_path, 1, cube, AcquisitionTime="120000", **MUTE_T1, **agent)
    write(tmp_path, 2, cube, AcquisitionTime="122000", SeriesDescription="t1_mprage_iso post", **agent)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2)] == [T1, T1CE]


def test_words_outweigh_the_order(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, AcquisitionTime="120000", SeriesDescription="t1 post")
    write(tmp_path, 2, cube, AcquisitionTime="122000", SeriesDescription="t1 pre")
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 2)] == [T1CE, T1]


def test_order_over_midnight_counts_days(cube: Volume, tmp_path: Path) -> None:
    write(tmp_path, 1, cube, AcquisitionDate="20000101", AcquisitionTime="235500", **MUTE_T1)
    write(tmp_path, 2, cube, Modality.T2, AcquisitionDate="20000101", AcquisitionTime="235800", ContrastBolusVolume=7)
    write(tmp_path, 3, cube, AcquisitionDate="20000102", AcquisitionTime="000500", **MUTE_T1)
    series = read(tmp_path)
    assert [series[n].modality for n in (1, 3)] == [T1, T1CE]


@pytest.mark.parametrize("stamp", ["", "12", "noon", "250000000000000000", "99999999126060"])
def test_a_malformed_time_is_no_time_and_no_error(cube: Volume, tmp_path: Path, stamp: str) -> None:
    write(tmp_path, 1, cube, AcquisitionTime="120000", **MUTE_T1)
    write(tmp_path, 2, cube, T1CE, AcquisitionTime="121000")
    for path in (tmp_path / "1").iterdir():
        content = path.read_bytes()
        start = content.index(b"\x08\x00\x32\x00TM")
        padded = stamp + " " * (len(stamp) % 2)
        path.write_bytes(
            content[: start + 6] + len(padded).to_bytes(2, "little") + padded.encode() + content[start + 14 :]
        )
    assert read(tmp_path)[1].modality is T1
