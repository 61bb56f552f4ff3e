from pathlib import Path

import pytest
import typer

from tds_cli.errors import OutputLost, ReferenceMissing, Stopped, TrainingStopped, UsageFault
from tds_cli.exit_codes import ExitCode, describe
from tds_clinical import errors as clinical
from tds_core import errors as core
from tds_data import Modality, QualityFlag, Severity
from tds_data import errors as data
from tds_data.report import ReportFormatError

FLAG = QualityFlag(code="SKULL-PRESENT", severity=Severity.ERROR, message="strip the skull first")
HERE = Path("somewhere")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (data.RefusedStudy((FLAG,)), ExitCode.STUDY_REFUSED),
        (data.VolumeReadError(HERE, "damaged"), ExitCode.STUDY_REFUSED),
        (data.VoxelError("NaN"), ExitCode.STUDY_REFUSED),
        (data.GeometryError("flat"), ExitCode.STUDY_REFUSED),
        (data.GridMismatch("two grids"), ExitCode.STUDY_REFUSED),
        (data.SequenceNotFound("none"), ExitCode.STUDY_REFUSED),
        (data.AmbiguousSequence("two"), ExitCode.STUDY_REFUSED),
        (data.LabelError("label 9"), ExitCode.STUDY_REFUSED),
        (ReportFormatError("not one"), ExitCode.STUDY_REFUSED),
        (clinical.NoImages(3), ExitCode.STUDY_REFUSED),
        (clinical.DicomReadError(HERE, "damaged"), ExitCode.STUDY_REFUSED),
        (clinical.AmbiguousSeries(Modality.T1, ("series 1", "series 2")), ExitCode.STUDY_REFUSED),
        (clinical.FolderNotReadable(HERE, "denied"), ExitCode.STUDY_REFUSED),
        (core.EvaluationError("nothing to score"), ExitCode.STUDY_REFUSED),
        (ReferenceMissing(["a"]), ExitCode.STUDY_REFUSED),
        (core.BundleNotFound(HERE), ExitCode.MODEL_REFUSED),
        (core.BundleAltered("model.onnx", "its hash differs"), ExitCode.MODEL_REFUSED),
        (core.BundleUntrusted(HERE, "0" * 64), ExitCode.MODEL_REFUSED),
        (core.BundleIncompatible("format 9"), ExitCode.MODEL_REFUSED),
        (core.OutOfMemory(2, 1), ExitCode.OUT_OF_MEMORY),
        (MemoryError(), ExitCode.OUT_OF_MEMORY),
        (data.VolumeWriteError(HERE, "the disk is full"), ExitCode.FAILED),
        (clinical.ReportError("cannot write"), ExitCode.FAILED),
        (clinical.PushFailed("the server answered 401", status=401), ExitCode.FAILED),
        (clinical.ClinicalDependency("requests", "fhir"), ExitCode.FAILED),
        (data.MissingDependency("nilearn", "phantom"), ExitCode.FAILED),
        (core.TrainingError("diverged"), ExitCode.FAILED),
        (core.CheckpointDamaged("all are torn"), ExitCode.FAILED),
        (core.DiskFull("it stayed full"), ExitCode.FAILED),
        (core.TrainingOutOfMemory("one patch does not fit"), ExitCode.OUT_OF_MEMORY),
        (TrainingStopped("stopped after step 3", "SIGTERM"), 143),
        (TrainingStopped("stopped after step 3", "SIGINT"), 130),
        (TrainingStopped("stopped after step 3", ""), ExitCode.FAILED),
        (PermissionError(13, "denied"), ExitCode.FAILED),
        (RuntimeError("what"), ExitCode.FAILED),
        (OutputLost("stdout is closed"), ExitCode.FAILED),
        (SystemExit(1), ExitCode.FAILED),
        (UsageFault("no such path"), ExitCode.USAGE),
        (typer.BadParameter("no such value"), ExitCode.USAGE),
        (core.ConfigError("unknown key"), ExitCode.USAGE),
        (core.DeviceUnavailable("gpu", ("cpu",)), ExitCode.USAGE),
        (clinical.SeriesNotFound(Modality.T1, "1, 2"), ExitCode.USAGE),
        (KeyboardInterrupt(), 130),
        (Stopped(2), 130),
        (Stopped(15), 143),
    ],
)
def test_error_has_its_exit_code_and_a_way_out(error: BaseException, exit_code: int) -> None:
    failure = describe(error)
    assert failure.exit_code == exit_code
    assert failure.message
    assert failure.hint
    assert failure.code == failure.code.lower()


def test_every_error_that_the_packages_raise_on_purpose_is_expected() -> None:
    roots = (data.DataError, core.CoreError, clinical.ClinicalError)
    assert all(describe(root("something")).code != "unexpected" for root in roots)


def test_way_on_for_a_run_is_to_resume_it() -> None:
    for error in (TrainingStopped("stopped", "SIGTERM"), core.DiskFull("full"), core.TrainingOutOfMemory("no room")):
        assert "--resume" in describe(error).hint
        assert "--max-ram" not in describe(error).hint


def test_error_without_words_is_told_by_its_type() -> None:
    assert describe(MemoryError()).message == "MemoryError"


@pytest.mark.parametrize("kind", [RuntimeError, OSError, MemoryError])
def test_words_of_other_libraries_are_redacted(kind: type[Exception]) -> None:
    message = describe(kind("cannot read /home/ada/PatientName=Ada, born 18151210")).message
    assert message.endswith("cannot read /home/[user]/PatientName=[redacted], born [digits]")


def test_path_that_the_user_typed_is_told_as_it_was_typed() -> None:
    assert "/home/ada/20260102" in describe(UsageFault("there is no file or folder '/home/ada/20260102'")).message
