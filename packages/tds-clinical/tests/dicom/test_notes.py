from pathlib import Path

from tds_clinical.dicom import read_study, reading_notes
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data import MODALITIES, Modality, QualityFlag, Severity, Volume


def codes(notes: tuple[QualityFlag, ...]) -> list[str]:
    return [note.code for note in notes]


def test_each_series_that_was_read_is_named(study_folder: Path) -> None:
    notes = reading_notes(read_study(study_folder))
    assert [note.message for note in notes] == [
        f"series {n} was read as {m}" for n, m in enumerate(MODALITIES, start=1)
    ]
    assert all(note.code == "SERIES-READ" and note.severity is Severity.INFO for note in notes)


def test_series_that_lost_its_sequence_to_another_is_named(study_folder: Path, volume: Volume) -> None:
    write_classic_series(volume, study_folder / "again", ClassicSeriesOptions(series_number=9))
    note = reading_notes(read_study(study_folder, overrides={Modality.T1: "9"}))[-1]
    assert (note.code, note.severity) == ("SERIES-PASSED-OVER", Severity.INFO)
    assert note.message.startswith("series 1 could be t1 too")


def test_series_that_is_no_sequence_at_all_was_not_passed_over(study_folder: Path, volume: Volume) -> None:
    localizer = ClassicSeriesOptions(series_number=9, tags={"SeriesDescription": "LOCALIZER"})
    write_classic_series(volume, study_folder / "l", localizer)
    assert codes(reading_notes(read_study(study_folder))) == ["SERIES-READ"] * 4


def test_files_that_are_no_images_are_counted(study_folder: Path) -> None:
    (study_folder / "a.txt").write_text("notes", encoding="utf-8")
    (study_folder / "b.txt").write_text("notes", encoding="utf-8")
    note = reading_notes(read_study(study_folder))[-1]
    assert (note.code, note.value) == ("FILES-IGNORED", "2")


def with_frame(volume: Volume, folder: Path, uid: str | None) -> tuple[QualityFlag, ...]:
    write_classic_series(volume, folder / "t1", ClassicSeriesOptions(series_number=1))
    options = ClassicSeriesOptions(series_number=2, modality=Modality.T2, tags={"FrameOfReferenceUID": uid})
    write_classic_series(volume, folder / "t2", options)
    return reading_notes(read_study(folder))


def test_series_in_different_frames_of_reference_are_warned_of(volume: Volume, tmp_path: Path) -> None:
    note = with_frame(volume, tmp_path, "2.25.77")[-1]
    assert (note.code, note.severity, note.value) == ("FRAME-OF-REFERENCE", Severity.WARNING, "2")
    assert "2.25.77" not in note.message


def test_series_that_name_no_frame_of_reference_are_not_warned_of(volume: Volume, tmp_path: Path) -> None:
    assert codes(with_frame(volume, tmp_path, None)) == ["SERIES-READ", "SERIES-READ"]


def test_frame_of_a_series_that_was_not_read_does_not_count(study_folder: Path, volume: Volume) -> None:
    tags = {"SeriesDescription": "LOCALIZER", "FrameOfReferenceUID": "2.25.77"}
    write_classic_series(volume, study_folder / "l", ClassicSeriesOptions(series_number=9, tags=tags))
    assert codes(reading_notes(read_study(study_folder))) == ["SERIES-READ"] * 4
