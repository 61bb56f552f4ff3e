import errno
import os
import pickle
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tds_clinical.dicom.writing import filing
from tds_clinical.dicom.writing.cross_check import BuiltObject
from tds_clinical.dicom.writing.filing import FilingOptions, write_results
from tds_clinical.dicom.writing.key_images import KeyPicture
from tds_clinical.dicom.writing.objects import ResultKind
from tds_clinical.dicom.writing.segmentation import SegmentationKind
from tds_clinical.errors import DicomWriteError, ReportError, ResultsDisagree
from tds_clinical.findings import ResultContext
from tds_data.atomic import atomic_folder

PDF = b"%PDF-1.4 report"
PICTURES = tuple(KeyPicture(pixels=np.full((4, 6, 3), n, np.uint8), title=f"{n}") for n in (1, 2))
ORDER = ["seg.dcm", "rtstruct.dcm", "key-image-1.dcm", "key-image-2.dcm", "report.dcm", "sr.dcm"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds something already."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mask.nii.gz").write_bytes(b"a mask")
    return tmp_path / "out"


@pytest.fixture(scope="module")
def built(context: ResultContext, tmp_path_factory: pytest.TempPathFactory) -> list[BuiltObject]:
    made = tmp_path_factory.mktemp("built")
    written = write_results(made, context, pdf=PDF, pictures=PICTURES)
    return [
        BuiltObject(kind=ResultKind(r.kind), file_name=r.file_name, data=(made / r.file_name).read_bytes())
        for r in written
    ]


def is_untouched(folder: Path) -> bool:
    return [path.name for path in folder.iterdir()] == ["mask.nii.gz"]


def file(folder: Path, context: ResultContext, **changes: Any) -> list[str]:
    written = write_results(folder, context, pdf=PDF, pictures=PICTURES, **changes)
    return [reference.file_name for reference in written]


def test_all_objects_are_written_in_the_order_of_their_references(folder: Path, context: ResultContext) -> None:
    assert file(folder, context) == ORDER
    assert sorted(path.name for path in folder.iterdir()) == sorted([*ORDER, "mask.nii.gz"])


def test_references_say_where_each_object_is(folder: Path, context: ResultContext) -> None:
    written = write_results(folder, context, pdf=PDF, pictures=PICTURES)
    assert [reference.kind for reference in written] == ["seg", "rtstruct", "key-image", "key-image", "report", "sr"]
    for reference in written:
        dataset = pydicom.dcmread(folder / reference.file_name)
        assert reference.sop_class_uid == dataset.SOPClassUID
        assert reference.sop_instance_uid == dataset.SOPInstanceUID
        assert reference.series_uid == dataset.SeriesInstanceUID
        assert reference.modality == dataset.Modality


def test_a_missing_folder_is_made(tmp_path: Path, context: ResultContext) -> None:
    assert file(tmp_path / "new" / "out", context) == ORDER


def test_one_context_gives_the_same_bytes(tmp_path: Path, context: ResultContext) -> None:
    for name in ("a", "b"):
        file(tmp_path / name, context)
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in ORDER)


def test_series_numbers_count_on_from_the_first(folder: Path, context: ResultContext) -> None:
    file(folder, replace(context, first_series_number=500))
    numbers = {name: pydicom.dcmread(folder / name).SeriesNumber for name in ORDER}
    assert sorted(set(numbers.values())) == [500, 501, 502, 503, 504]
    assert numbers["seg.dcm"] == 500


def test_nothing_found_is_filed_without_segmentation_and_structure_set(
    folder: Path, empty_context: ResultContext
) -> None:
    assert file(folder, empty_context) == ["key-image-1.dcm", "key-image-2.dcm", "report.dcm", "sr.dcm"]


def test_without_pdf_and_pictures_there_are_none(folder: Path, context: ResultContext) -> None:
    written = write_results(folder, context, pdf=None)
    assert [reference.kind for reference in written] == ["seg", "rtstruct", "sr"]


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ({ResultKind.SEGMENTATION}, ["seg.dcm"]),
        ({ResultKind.STRUCTURE_SET}, ["rtstruct.dcm"]),
        ({ResultKind.SEGMENTATION, ResultKind.STRUCTURED_REPORT}, ["seg.dcm", "sr.dcm"]),
        ({ResultKind.KEY_IMAGE}, ["key-image-1.dcm", "key-image-2.dcm"]),
        ({ResultKind.REPORT}, ["report.dcm"]),
        (set(), []),
    ],
)
def test_a_choice_of_objects_can_be_filed(
    folder: Path, context: ResultContext, kinds: set[ResultKind], names: list[str]
) -> None:
    assert file(folder, context, options=FilingOptions(kinds=frozenset(kinds))) == names


def test_a_structured_report_without_the_segmentation_is_refused() -> None:
    with pytest.raises(ValueError, match="file the segmentation, too"):
        FilingOptions(kinds=frozenset({ResultKind.STRUCTURED_REPORT}))


def test_the_segmentation_can_be_a_label_map(folder: Path, context: ResultContext) -> None:
    file(folder, context, options=FilingOptions(segmentation=SegmentationKind.LABELMAP))
    assert pydicom.dcmread(folder / "seg.dcm").SegmentationType == "LABELMAP"


def test_whether_the_report_identifies_the_patient_is_passed_on(folder: Path, context: ResultContext) -> None:
    file(folder, context, options=FilingOptions(pdf_identifies_patient=False))
    assert pydicom.dcmread(folder / "report.dcm").BurnedInAnnotation == "NO"


def test_nothing_is_written_if_the_objects_disagree(folder: Path, context: ResultContext) -> None:
    findings = context.findings
    grown = replace(findings.segments[0], voxels=findings.segments[0].voxels + 1)
    wrong = replace(context, findings=replace(findings, segments=(grown, *findings.segments[1:])))
    with pytest.raises(ResultsDisagree, match="segment 1, voxels"):
        file(folder, wrong)
    assert is_untouched(folder)


def test_nothing_is_written_if_the_report_is_no_pdf(folder: Path, context: ResultContext) -> None:
    with pytest.raises(ReportError, match="no PDF"):
        write_results(folder, context, pdf=b"<html>", pictures=PICTURES)
    assert is_untouched(folder)


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm", "key-image-7.dcm"])
def test_earlier_objects_are_kept_and_nothing_is_written(folder: Path, context: ResultContext, name: str) -> None:
    (folder / name).write_bytes(b"earlier")
    with pytest.raises(DicomWriteError, match=f"cannot write '{name}': it is there already"):
        file(folder, context)
    assert {path.name for path in folder.iterdir()} == {"mask.nii.gz", name}
    assert (folder / name).read_bytes() == b"earlier"


def test_objects_that_came_while_the_others_were_built_are_kept(folder: Path, built: list[BuiltObject]) -> None:
    (folder / "rtstruct.dcm").write_bytes(b"earlier")
    with pytest.raises(DicomWriteError, match="it is there already"):
        filing._publish(folder, built)
    assert {path.name for path in folder.iterdir()} == {"mask.nii.gz", "rtstruct.dcm"}


class Failing:
    """Makes the nth call of a function fail, after it has done nothing."""

    def __init__(self, function: Any, count: int, error: BaseException) -> None:
        self.function, self.left, self.error = function, count, error

    def __call__(self, *args: Any) -> Any:
        if self.left == 0:
            raise self.error
        self.left -= 1
        return self.function(*args)


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("count", range(len(ORDER)))
@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (os, "replace"), (filing, "_write")])
def test_a_full_disk_at_any_step_leaves_the_folder_as_it_was(
    folder: Path, built: list[BuiltObject], monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, count: int
) -> None:
    monkeypatch.setattr(owner, name, Failing(getattr(owner, name), count, FULL))
    with pytest.raises(DicomWriteError, match="No space left on device; free some space or choose a folder"):
        filing._publish(folder, built)
    assert is_untouched(folder)


@pytest.mark.parametrize("count", range(len(ORDER)))
def test_ctrl_c_after_any_move_leaves_the_folder_as_it_was(
    folder: Path, built: list[BuiltObject], monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def stop_after_move(source: Path, target: Path) -> None:
        real(source, target)
        stopping()

    real, stopping = os.replace, Failing(lambda: None, count, KeyboardInterrupt())
    monkeypatch.setattr(os, "replace", stop_after_move)
    with pytest.raises(KeyboardInterrupt):
        filing._publish(folder, built)
    assert is_untouched(folder)


@pytest.mark.parametrize(("failure", "raised"), [(FULL, DicomWriteError), (KeyboardInterrupt(), KeyboardInterrupt)])
@pytest.mark.parametrize("name", ["out", "new/out"])
def test_folders_that_were_made_go_again(
    tmp_path: Path,
    built: list[BuiltObject],
    monkeypatch: pytest.MonkeyPatch,
    *,
    name: str,
    failure: BaseException,
    raised: type[BaseException],
) -> None:
    monkeypatch.setattr(os, "replace", Failing(os.replace, 2, failure))
    with pytest.raises(raised):
        filing._publish(tmp_path / name, built)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_puts_in_the_way_meanwhile_is_not_removed(
    folder: Path, built: list[BuiltObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sr.dcm").mkdir()
    monkeypatch.setattr(filing, "_check_free", lambda _: None)  # it came after the look
    with pytest.raises(DicomWriteError, match=r"cannot write 'sr\.dcm': Is a directory"):
        filing._publish(folder, built)
    assert {path.name for path in folder.iterdir()} == {"mask.nii.gz", "sr.dcm"}


def test_a_file_in_the_folder_s_place_is_an_error(tmp_path: Path, built: list[BuiltObject]) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(DicomWriteError, match="choose a folder that you may write to"):
        filing._publish(tmp_path / "out", built)
    assert (tmp_path / "out").read_bytes() == b"a file"


def test_a_system_that_cannot_flush_a_folder_is_no_error(
    folder: Path, built: list[BuiltObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", Failing(os.fsync, len(ORDER), OSError(errno.EINVAL, "Invalid argument")))
    filing._publish(folder, built)
    assert {path.name for path in folder.iterdir()} == {"mask.nii.gz", *ORDER}


def run(script: str, built: list[BuiltObject], *arguments: Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, input=pickle.dumps(built), capture_output=True, check=False, timeout=100)  # noqa: S603  # ours


LIMITED = """
import pickle, resource, signal, sys
from pathlib import Path
from tds_clinical.dicom.writing import filing
from tds_clinical.errors import DicomWriteError
built = pickle.load(sys.stdin.buffer)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    filing._publish(Path(sys.argv[1]), built)
except DicomWriteError as error:
    sys.exit(str(error))
"""

KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from tds_clinical.dicom.writing import filing
built = pickle.load(sys.stdin.buffer)
replace = os.replace
for count in range(len(built) + 1):
    child = os.fork()
    if child == 0:
        moved = []
        def until(source, target):
            if len(moved) == count:
                os.kill(os.getpid(), signal.SIGKILL)
            moved.append(replace(source, target))
        os.replace = until
        filing._publish(Path(sys.argv[1]) / str(count), built)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else "done", flush=True)
"""


def test_a_system_that_refuses_to_write_leaves_the_folder_as_it_was(folder: Path, built: list[BuiltObject]) -> None:
    answer = run(LIMITED, built, folder)
    assert b"File too large; free some space" in answer.stderr
    assert answer.returncode == 1
    assert is_untouched(folder)


def test_a_kill_leaves_whole_objects_and_never_one_without_what_it_refers_to(
    built: list[BuiltObject], tmp_path: Path
) -> None:
    answer = run(KILLED, built, tmp_path)
    assert answer.stdout.decode().split() == ["9"] * len(ORDER) + ["done"], answer.stderr
    for count in range(len(ORDER) + 1):
        seen = [path for path in (tmp_path / str(count)).iterdir() if not path.name.startswith(".filing-")]
        assert {path.name for path in seen} == set(ORDER[:count])
        whole = {entry.file_name: entry.data for entry in built}
        assert all(path.read_bytes() == whole[path.name] for path in seen)


def test_inside_an_atomic_folder_a_failure_leaves_nothing(
    tmp_path: Path, context: ResultContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", Failing(os.replace, 4, FULL))
    with pytest.raises(DicomWriteError), atomic_folder(tmp_path / "out") as partial:
        file(partial, context)
    assert list(tmp_path.iterdir()) == []


def test_a_source_whose_values_break_their_format_is_copied_as_it_is_without_a_word(
    folder: Path, context: ResultContext, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    headers = deepcopy(context.source.headers)
    for header in headers:
        header["StudyID"]._value = "far more than sixteen characters"
        header.add_new("PatientAge", "AS", "")
        header["PatientAge"]._value = "45"
    file(folder, replace(context, source=replace(context.source, headers=headers)))
    assert not recwarn.list
    assert not [record for record in caplog.records if record.name.startswith("pydicom")]
    with pytest.warns(UserWarning, match="exceeds the maximum length"):
        assert pydicom.dcmread(folder / "sr.dcm").StudyID == "far more than sixteen characters"


@pytest.mark.parametrize("inside", ["", "out"])
def test_errors_never_tell_the_folder(tmp_path: Path, built: list[BuiltObject], inside: str) -> None:
    (tmp_path / "Doe^Jane").write_bytes(b"")
    with pytest.raises(DicomWriteError, match="cannot write 'results'") as caught:
        filing._publish(tmp_path / "Doe^Jane" / inside, built)
    assert "Doe" not in str(caught.value)
