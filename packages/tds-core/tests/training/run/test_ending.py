import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tds_core import EvaluationError
from tds_core.training.config import TrainingConfig
from tds_core.training.run import RunSummary, judging, run_training
from tds_core.training.run.ending import evaluate_bundle
from tds_core.training.run.preparation import prepare_run
from tds_data import Case, Volume, write_volume
from tds_data.datasets import CaseEntry, Manifest, load_entry
from tds_data.errors import VoxelError

pytest.importorskip("matplotlib")

Resolve = Callable[..., TrainingConfig]


def quiet(_done: int, _total: int, _what: str) -> None:
    """Hear nothing."""


def test_case_that_is_refused_leaves_the_others_their_scores(
    finished: tuple[RunSummary, dict[str, list[Any]]], tiny: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = finished[0].bundle
    assert packed is not None
    prepared = prepare_run(tiny("data.split.names=[phantom-0005, phantom-0006]"), tmp_path, quiet)
    refused = {"phantom-0005"}

    def load(manifest: Manifest, entry: CaseEntry, **how: Any) -> Case:
        if entry.name in refused:
            message = "no foreground in t1"
            raise VoxelError(message)
        return load_entry(manifest, entry, **how)

    monkeypatch.setattr(judging, "load_entry", load)
    judged = evaluate_bundle(packed, prepared, tmp_path, quiet)
    assert [case.case for case in judged.scores] == ["phantom-0006"]
    assert judged.unscored == {"phantom-0005": "no foreground in t1"}
    report = json.loads((tmp_path / "evaluation" / "scores.json").read_text())
    assert any("1 validation cases have no scores" in note and "phantom-0005" in note for note in report["notes"])
    assert report["facts"]["Trained on"] == "1 cases, all of them PHANTOMS"
    assert report["cases"][0]["regions"]["WT"]["calibration_error"] is not None
    page = (tmp_path / "evaluation" / "index.html").read_text()
    assert "in which the masks differ most" in page
    refused.add("phantom-0006")
    with pytest.raises(EvaluationError, match="none of the 2 validation cases can be segmented whole, the last"):
        evaluate_bundle(packed, prepared, tmp_path, quiet)
    assert (tmp_path / "evaluation" / "index.html").read_text() == page


def distances() -> np.ndarray:
    return np.asarray(np.linalg.norm(np.indices((24, 24, 24)) - 11.5, axis=0))


def write_livers(folder: Path, count: int) -> None:
    """Write cases in the manner of LiTS: a bright ball in a darker one."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = ((distances() < 9).astype(np.uint8) + (distances() < 4)).astype(np.uint8)
    grid = np.diag([2.0, 2.0, 2.0, 1.0])
    for number in range(count):
        image = (labels * 100.0 - 150.0 + rng.normal(0, 10, labels.shape)).astype(np.float32)
        write_volume(folder / f"volume-{number}.nii", Volume(image, grid))
        write_volume(folder / f"segmentation-{number}.nii", Volume(labels, grid))


def test_run_of_another_task_is_evaluated_on_whole_cases(tiny: Resolve, tmp_path: Path) -> None:
    write_livers(tmp_path / "LiTS", 3)
    config = tiny(
        f"data.datasets=[{{path: '{tmp_path / 'LiTS'}'}}]",
        "task=liver-tumour",
        "network.heads=classes",
        "data.spacing_mm=2.0",
        "length.epochs=1",
    )
    summary = run_training(config, tmp_path / "run")
    assert summary.bundle is not None
    assert not summary.phantom
    assert summary.scores
    assert list(summary.scores[0].values) == ["liver", "tumour"]
    row = summary.scores[0].values["tumour"]
    assert row["volume_ml_truth"] == pytest.approx(np.count_nonzero(distances() < 4) * 8 / 1000)
    assert row["calibration_error"] is not None
    assert (tmp_path / "run" / "evaluation" / "index.html").is_file()
