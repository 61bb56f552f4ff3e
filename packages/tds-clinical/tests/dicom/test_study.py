from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.dicom import identify_sequence, looks_like_dicom, read_sequences, read_series_headers, read_study
from tds_clinical.errors import AmbiguousSeries, DicomReadError, NoImages, SeriesNotFound
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series, write_classic_study
from tds_data.case import Case
from tds_data.errors import GridMismatch, SequenceNotFound
from tds_data.vocabulary import MODALITIES, Modality
from tds_data.volume import Volume

LOCALIZER = {"SeriesDescription": "LOCALIZER"}


def flipped(volume: Volume, axis: int) -> Volume:
    change = np.eye(4)
    change[axis, axis] = -1
    change[axis, 3] = volume.shape[axis] - 1
    return Volume(np.flip(volume.voxels, axis), volume.ras_from_voxel @ change)


def turned(volume: Volume) -> Volume:
    order = [2, 0, 1]
    change = np.eye(4)[:, [*order, 3]]
    return Volume(volume.voxels.transpose(order), volume.ras_from_voxel @ change)


def test_a_study_becomes_a_case(study_folder: Path, case: Case) -> None:
    study = read_study(study_folder)
    assert study.case.name == "study"
    assert study.case.modalities == MODALITIES
    assert study.ignored == 0
    for modality, image in case.images.items():
        assert study.case.images[modality].same_grid(image)
        np.testing.assert_array_equal(study.case.images[modality].voxels, image.voxels)
    assert [entry.modality for entry in study.series] == list(MODALITIES)
    assert not any(entry.overridden for entry in study.series)


@pytest.mark.parametrize("modality", MODALITIES)
def test_one_sequence_is_enough(case: Case, tmp_path: Path, modality: Modality) -> None:
    write_classic_study(Case(name="one", images={modality: case.images[modality]}), tmp_path)
    assert read_study(tmp_path).case.modalities == (modality,)


def test_other_series_are_left_out_with_a_reason(study_folder: Path, volume: Volume) -> None:
    write_classic_series(volume, study_folder / "l", ClassicSeriesOptions(series_number=9, tags=LOCALIZER))
    left_out = read_study(study_folder).series[-1]
    assert left_out.modality is None
    assert left_out.files.number == 9
    assert "localizer" in left_out.guess.reason


def test_weak_claims_are_left_out(study_folder: Path, volume: Volume) -> None:
    odd = ClassicSeriesOptions(series_number=9, modality=Modality.T2, tags={"SeriesDescription": "T1"})
    write_classic_series(volume, study_folder / "odd", odd)
    study = read_study(study_folder)
    assert study.series[-1].modality is None
    assert study.series[-1].guess.confidence < 0.5


def test_a_clearly_better_claim_wins(study_folder: Path, volume: Volume) -> None:
    doubtful = ClassicSeriesOptions(series_number=9, tags={"ContrastBolusAgent": "Gadovist"})
    write_classic_series(volume, study_folder / "doubtful", doubtful)
    assert read_study(study_folder).series[-1].modality is None


NO_TIMING = {"RepetitionTime": None, "EchoTime": None, "InversionTime": None}
NO_WORDS = {"SeriesDescription": "AX 3"}


def test_lead_of_more_than_a_fifth_settles_it_and_the_other_is_passed_over(study_folder: Path, volume: Volume) -> None:
    write_classic_series(volume, study_folder / "mute", ClassicSeriesOptions(series_number=9, tags=NO_WORDS))
    mute = read_study(study_folder).series[-1]
    assert mute.guess.modality is Modality.T1
    assert mute.modality is None
    assert mute.passed_over


def test_lead_of_a_fifth_settles_nothing(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "1", ClassicSeriesOptions(series_number=1, tags=NO_TIMING))
    write_classic_series(volume, tmp_path / "2", ClassicSeriesOptions(series_number=2, tags=NO_WORDS))
    first, second = (identify_sequence(series.header).confidence for series in read_series_headers(tmp_path))
    assert first - second == pytest.approx(0.2)
    with pytest.raises(AmbiguousSeries, match="series 1, series 2"):
        read_study(tmp_path)


def test_two_t1_series_are_ambiguous(study_folder: Path, volume: Volume) -> None:
    write_classic_series(volume, study_folder / "again", ClassicSeriesOptions(series_number=9))
    with pytest.raises(AmbiguousSeries, match=r"series 1, series 9 could each be the t1 sequence.*override") as raised:
        read_study(study_folder)
    assert raised.value.modality is Modality.T1
    assert "1.2.826" not in str(raised.value)


def test_an_override_by_number_settles_it(study_folder: Path, volume: Volume) -> None:
    other = volume.with_voxels(volume.voxels + 77)
    write_classic_series(other, study_folder / "again", ClassicSeriesOptions(series_number=9))
    study = read_study(study_folder, overrides={Modality.T1: "9"})
    # The first T1 series is free again, but T1 is taken.
    np.testing.assert_array_equal(study.case.images[Modality.T1].voxels, other.voxels)
    assert [(e.files.number, e.modality) for e in study.series if e.overridden] == [(9, Modality.T1)]
    assert study.series[0].modality is None


def test_an_override_by_uid_reads_a_series_as_something_else(study_folder: Path) -> None:
    t2 = read_series_headers(study_folder)[2]
    study = read_study(study_folder, overrides={Modality.FLAIR: t2.uid})
    assert study.case.modalities == (Modality.T1, Modality.T1CE, Modality.FLAIR)


def test_an_override_must_name_a_series(study_folder: Path) -> None:
    with pytest.raises(SeriesNotFound, match=r"chosen for t2 .* one of: 1, 2, 3, 4"):
        read_study(study_folder, overrides={Modality.T2: "12"})


def test_an_override_must_name_one_series(study_folder: Path, volume: Volume) -> None:
    twin = ClassicSeriesOptions(series_number=9, tags={"SeriesNumber": 1, **LOCALIZER})
    write_classic_series(volume, study_folder / "twin", twin)
    with pytest.raises(AmbiguousSeries, match="series 1, series 1"):
        read_study(study_folder, overrides={Modality.T1: "1"})


def test_nothing_recognisable_is_an_error_that_says_why(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path, ClassicSeriesOptions(tags=LOCALIZER))
    with pytest.raises(SequenceNotFound, match="series 1: not a structural image: localizer"):
        read_study(tmp_path)


def test_a_picked_series_that_cannot_be_read_stops_the_study(study_folder: Path) -> None:
    for path in (study_folder / "series002").iterdir():
        dataset = pydicom.dcmread(path)
        dataset.NumberOfFrames = 2
        dataset.save_as(path)
    with pytest.raises(DicomReadError, match="holds several frames and no functional groups"):
        read_study(study_folder)


@pytest.mark.parametrize("change", [lambda v: flipped(v, 0), lambda v: flipped(v, 1), lambda v: flipped(v, 2), turned])
def test_other_storage_orders_come_to_the_first_grid(
    volume: Volume, tmp_path: Path, change: Callable[[Volume], Volume]
) -> None:
    flair = volume.with_voxels(volume.voxels + 5)
    write_classic_series(volume, tmp_path / "t1", ClassicSeriesOptions(series_number=1))
    options = ClassicSeriesOptions(series_number=2, modality=Modality.FLAIR)
    write_classic_series(change(flair), tmp_path / "flair", options)
    images = read_study(tmp_path).case.images
    np.testing.assert_array_equal(images[Modality.FLAIR].ras_from_voxel, images[Modality.T1].ras_from_voxel)
    np.testing.assert_array_equal(images[Modality.FLAIR].voxels, flair.voxels)


def test_different_grids_are_refused(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "t1", ClassicSeriesOptions(series_number=1))
    moved = Volume(volume.voxels, volume.ras_from_voxel + np.eye(4, k=3) * 2.0)
    write_classic_series(moved, tmp_path / "t2", ClassicSeriesOptions(series_number=2, modality=Modality.T2))
    with pytest.raises(GridMismatch, match="register and resample"):
        read_study(tmp_path)


def test_raw_sequences_stay_on_their_own_grids(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "t1", ClassicSeriesOptions(series_number=1))
    moved = Volume(volume.voxels, volume.ras_from_voxel + np.eye(4, k=3) * 2.0)
    write_classic_series(moved, tmp_path / "t2", ClassicSeriesOptions(series_number=2, modality=Modality.T2))
    found = read_sequences(tmp_path)
    assert list(found.images) == [Modality.T1, Modality.T2]
    assert found.images[Modality.T1].same_grid(volume)
    assert found.images[Modality.T2].same_grid(moved)
    assert [entry.modality for entry in found.series] == [Modality.T1, Modality.T2]


def test_a_folder_of_dicom_looks_like_dicom(study_folder: Path) -> None:
    (study_folder / "a.txt").write_text("notes")
    assert looks_like_dicom(study_folder)
    assert looks_like_dicom(next(study_folder.rglob("*.dcm")))


def test_dicom_behind_many_other_files_is_found(study_folder: Path) -> None:
    (study_folder / "0-notes").mkdir()
    for number in range(300):
        (study_folder / "0-notes" / f"{number}.txt").touch()
    assert looks_like_dicom(study_folder)


def test_other_things_do_not_look_like_dicom(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(bytes(400))
    assert not looks_like_dicom(tmp_path)
    assert not looks_like_dicom(tmp_path / "a.nii")
    assert not looks_like_dicom(tmp_path / "missing")


def test_files_that_cannot_be_opened_do_not_look_like_dicom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tds_clinical.dicom.study.walk_files", lambda _: iter([tmp_path / "gone.dcm"]))
    assert not looks_like_dicom(tmp_path)


def test_an_empty_folder_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(NoImages):
        read_study(tmp_path)
