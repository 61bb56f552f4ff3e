import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tds_core import ConfigError, load_bundle
from tds_core.training.config import TrainingConfig
from tds_core.training.run import (
    RunSummary,
    close_cross_validation,
    fold_runs,
    run_training,
    with_shared_plan,
)
from tds_data.curation import FoldConfig, make_folds, write_folds
from tds_data.datasets import index_dataset

pytest.importorskip("matplotlib")

Resolve = Callable[..., TrainingConfig]
Runs = tuple[TrainingConfig, Path, list[RunSummary]]


@pytest.fixture(scope="module")
def runs(tiny: Resolve, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """The runs of two folds, each of one step."""
    folder = tmp_path_factory.mktemp("runs") / "cv"
    config = tiny("length.epochs=1", "sampling.steps_per_epoch=1")
    return config, folder, [run_training(one, place) for place, one in fold_runs(config, folder)]


def test_each_case_is_scored_once_by_a_member_that_never_saw_it(runs: Runs) -> None:
    config, folder, summaries = runs
    closed = close_cross_validation(config, folder, summaries)
    assert [case.case for case in closed.scores] == ["phantom-0005", "phantom-0006", "phantom-0007"]
    assert all(case.phantom for case in closed.scores)
    report = json.loads((folder / "evaluation" / "scores.json").read_text())
    assert report["title"] == "Cross-validation of tiny"
    assert any("by the one member that was not trained on it" in note for note in report["notes"])
    for number, summary in enumerate(summaries):
        record = json.loads((folder / f"fold-{number}" / "data.json").read_text())["datasets"][0]
        assert [case.case for case in summary.scores] == record["validation"]
        assert not set(record["validation"]) & set(record["training"])
    assert closed.bundle is not None
    bundle = load_bundle(folder / "bundle", trusted=[closed.bundle.sha256])
    assert len(bundle.use.members) == 2
    assert close_cross_validation(config, folder, summaries).bundle == closed.bundle


def test_folds_share_preprocessed_cases(runs: Runs) -> None:
    folder = runs[1]
    assert len(list((folder / "cache").glob("cases-*"))) == 1
    assert not (folder / "fold-0" / "cache").exists()


def test_folds_that_do_not_fit_together_are_scored_without_an_ensemble(runs: Runs, tmp_path: Path) -> None:
    config, _, summaries = runs
    closed = close_cross_validation(config, tmp_path, [summaries[0], replace(summaries[0], scores=())])
    assert closed.bundle is None
    assert closed.notes[0].startswith("there is no ensemble: one bundle was given twice")
    assert (tmp_path / "evaluation" / "index.html").is_file()


def test_folds_without_bundles_leave_nothing(runs: Runs, tmp_path: Path) -> None:
    config, _, summaries = runs
    closed = close_cross_validation(config, tmp_path, [replace(summaries[0], bundle=None), summaries[1]])
    assert (closed.bundle, closed.scores, list(tmp_path.iterdir())) == (None, (), [])


def test_folds_of_a_file_are_as_many_as_it_has(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    write_folds(make_folds(index_dataset(phantoms), FoldConfig(count=3)), tmp_path / "folds.json")
    config = tiny(f"data.split={{file: '{tmp_path / 'folds.json'}'}}")
    assert [one.data.split.fold for _, one in fold_runs(config, tmp_path)] == [0, 1, 2]


def test_named_cases_are_no_folds(tiny: Resolve, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a cross-validation needs folds"):
        fold_runs(tiny("data.split.names=[phantom-0005]"), tmp_path)


def test_later_folds_take_the_plan_of_the_first(tiny: Resolve, tmp_path: Path) -> None:
    config = tiny()
    assert with_shared_plan(config, tmp_path).plan is None
    (tmp_path / "plan.yaml").touch()
    assert with_shared_plan(config, tmp_path).plan == tmp_path / "plan.yaml"
    assert with_shared_plan(tiny("plan=own.yaml"), tmp_path).plan == Path("own.yaml")
