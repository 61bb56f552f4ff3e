"""Classic series that hold several volumes."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from tds_clinical.dicom import SeriesFiles, identify_sequence, read_series, read_series_headers
from tds_clinical.errors import GeometryNotSupported, IncompleteSeries
from tds_clinical.testing import ClassicSeriesOptions, write_classic_series
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

from .geometry import edit


def write_volumes(volume: Volume, folder: Path, tags: list[dict[str, object]], *, interleaved: bool = False) -> None:
    """Write volumes into one series, each with tags of its own."""
    count, slices = len(tags), volume.shape[2]
    for n, own in enumerate(tags):
        later = volume.with_voxels(volume.voxels + 100 * n)
        paths = write_classic_series(later, folder / f"{n}", ClassicSeriesOptions(series_number=4, shuffle=False))
        for k, path in enumerate(paths):
            instance = k * count + n + 1 if interleaved else n * slices + k + 1
            edit(path, SOPInstanceUID=f"2.25.{instance}", InstanceNumber=instance, **own)


def parts(folder: Path) -> list[str]:
    return [series.part for series in read_series_headers(folder)]


def assert_volumes(volume: Volume, folder: Path, count: int) -> None:
    series = read_series_headers(folder)
    assert len(series) == count
    for n, one in enumerate(series):
        np.testing.assert_array_equal(read_series(one).voxels, volume.voxels + 100 * n)


@pytest.mark.parametrize(
    ("tags", "word"),
    [
        ([{"EchoTime": 20}, {"EchoTime": 90}], "echo"),
        ([{"InversionTime": 100}, {"InversionTime": 2500}], "inversion"),
        ([{"FlipAngle": 5}, {"FlipAngle": 20}], "flip angle"),
        ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 1000.0}], "b-value"),
        ([{}, {"DiffusionBValue": 1000.0}], "b-value"),
        ([{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}], "time point"),
        ([{"TriggerTime": 10}, {"TriggerTime": 300}], "phase"),
        ([{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2}], "acquisition"),
        ([{}, {}], "volume"),
    ],
)
@pytest.mark.parametrize("interleaved", [False, True])
def test_volumes_are_told_apart_by_what_differs(
    volume: Volume, tmp_path: Path, tags: list[dict[str, object]], word: str, *, interleaved: bool
) -> None:
    write_volumes(volume, tmp_path, tags, interleaved=interleaved)
    assert parts(tmp_path) == [f"{word} 1 of 2", f"{word} 2 of 2"]
    assert_volumes(volume, tmp_path, 2)


def test_order_of_volumes_is_that_of_the_values(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{"EchoTime": 90}, {"EchoTime": 9}, {"EchoTime": 100}])
    first = [int(read_series(series).voxels[0, 0, 0]) for series in read_series_headers(tmp_path)]
    least = int(volume.voxels[0, 0, 0])
    assert first == [least + 100, least, least + 200]


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ([["M", "ND"], ["P", "ND"]], ["magnitude", "phase"]),
        ([["M_FFE", "M"], ["PHASE MAP", "P"]], ["magnitude", "phase"]),
        ([["M", "DIXON", "WATER"], ["M", "DIXON", "FAT"]], ["fat", "water"]),
        ([["IN_PHASE"], ["OPP_PHASE"]], ["in phase", "opposed phase"]),
        ([["A"], ["B"]], ["kind 1 of 2", "kind 2 of 2"]),
        ([["M"], ["M", "NORM"]], ["kind 1 of 2", "kind 2 of 2"]),
    ],
)
def test_kinds_of_images_are_named_where_they_are_known(
    volume: Volume, tmp_path: Path, kinds: list[list[str]], names: list[str]
) -> None:
    write_volumes(volume, tmp_path, [{"ImageType": ["ORIGINAL", "PRIMARY", *kind]} for kind in kinds])
    assert parts(tmp_path) == names
    assert [s.name for s in read_series_headers(tmp_path)] == ["4.1", "4.2"]


def test_echoes_and_time_points_are_split_one_after_the_other(volume: Volume, tmp_path: Path) -> None:
    tags = [{"EchoTime": echo, "TemporalPositionIdentifier": time} for echo in (20, 90) for time in (1, 2, 3)]
    write_volumes(volume, tmp_path, tags)
    assert parts(tmp_path) == [f"echo {echo} of 2, time point {time} of 3" for echo in (1, 2) for time in (1, 2, 3)]
    assert_volumes(volume, tmp_path, 6)


def test_trigger_times_that_change_from_slice_to_slice_do_not_split(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{}, {}])
    for n, path in enumerate(sorted(tmp_path.rglob("*.dcm"))):
        edit(path, TriggerTime=n * 10)
    assert parts(tmp_path) == ["volume 1 of 2", "volume 2 of 2"]


def test_trigger_times_of_a_single_volume_do_not_split_it(volume: Volume, tmp_path: Path) -> None:
    for n, path in enumerate(write_classic_series(volume, tmp_path, ClassicSeriesOptions())):
        edit(path, TriggerTime=n, AcquisitionNumber=n, EchoTime=n + 1)
    assert parts(tmp_path) == [""]


def test_an_echo_with_a_missing_slice_is_refused_and_the_other_read(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{"EchoTime": 20}, {"EchoTime": 90}])
    sorted((tmp_path / "1").iterdir())[1].unlink()
    first, second = read_series_headers(tmp_path)
    np.testing.assert_array_equal(read_series(first).voxels, volume.voxels)
    with pytest.raises(IncompleteSeries, match=r"series 4, echo 2 of 2: 8\.00 mm lie between slices 1 and 2"):
        read_series(second)


def test_unequal_counts_that_nothing_tells_apart_are_refused(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{}, {}])
    sorted((tmp_path / "1").iterdir())[1].unlink()
    (series,) = read_series_headers(tmp_path)
    with pytest.raises(GeometryNotSupported, match=r"3 of its 4 slice places hold more than one image"):
        read_series(series)


def test_each_echo_is_identified_by_itself(volume: Volume, tmp_path: Path) -> None:
    tags = {"ScanningSequence": "SE", "RepetitionTime": 4000, "SeriesDescription": "", "InversionTime": None}
    write_volumes(volume, tmp_path, [{**tags, "EchoTime": 15}, {**tags, "EchoTime": 95}])
    first, second = (identify_sequence(series.header) for series in read_series_headers(tmp_path))
    assert first.modality is None
    assert second.modality is Modality.T2


def test_duplicates_stay_with_their_volume(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{"EchoTime": 20}, {"EchoTime": 90}])
    path = min((tmp_path / "1").iterdir())
    (tmp_path / "again.dcm").write_bytes(path.read_bytes())
    first, second = read_series_headers(tmp_path)
    assert (len(first.duplicates), len(second.duplicates)) == (0, 1)
    assert_volumes(volume, tmp_path, 2)


def test_a_series_without_geometry_stays_whole(volume: Volume, tmp_path: Path) -> None:
    write_volumes(volume, tmp_path, [{"EchoTime": 20}, {"EchoTime": 90}])
    for path in tmp_path.rglob("*.dcm"):
        edit(path, ImagePositionPatient=None)
    assert parts(tmp_path) == [""]


def test_a_localizer_stays_whole(volume: Volume, tmp_path: Path) -> None:
    paths = write_classic_series(volume, tmp_path, ClassicSeriesOptions())
    edit(paths[0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    assert parts(tmp_path) == [""]


def test_names_and_keys_are_those_of_the_series_if_it_holds_one_volume(volume: Volume, tmp_path: Path) -> None:
    write_classic_series(volume, tmp_path / "a", ClassicSeriesOptions(series_number=7))
    write_classic_series(volume, tmp_path / "b", ClassicSeriesOptions(tags={"SeriesNumber": None}))
    numbered, unnumbered = read_series_headers(tmp_path)
    assert (numbered.name, unnumbered.name) == ("7", "")
    assert (numbered.key, numbered.index) == (numbered.uid, None)
    assert isinstance(numbered, SeriesFiles)
    assert pydicom.uid.UID(numbered.key).is_valid
