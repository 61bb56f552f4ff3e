import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tds_core import ConfigError, TrainingError
from tds_core.training.config import TrainingConfig
from tds_core.training.run.datasets import SplitDataset, data_digest, open_datasets
from tds_core.training.run.leaks import check_leaks
from tds_data.curation import FoldConfig, make_folds, write_folds
from tds_data.datasets import index_dataset, write_manifest

Resolve = Callable[..., TrainingConfig]


def opened(tiny: Resolve, folder: Path, *settings: str) -> tuple[SplitDataset, ...]:
    return open_datasets(tiny(*settings), folder, lambda _done, _total, _what: None)


def test_fold_validates_and_the_others_train(tiny: Resolve, tmp_path: Path) -> None:
    (first,), (second,) = (opened(tiny, tmp_path, f"data.split.fold={n}") for n in (0, 1))
    assert set(first.training) | set(first.validation) == {case.name for case in first.manifest.cases}
    assert not set(first.training) & set(first.validation)
    assert first.validation == second.training
    assert data_digest((first,)) != data_digest((second,))
    assert data_digest((first,)) == data_digest(opened(tiny, tmp_path, "data.split.fold=0"))


def test_named_cases_validate(tiny: Resolve, tmp_path: Path) -> None:
    (part,) = opened(tiny, tmp_path, "data.split.names=[phantom-0006]")
    assert part.validation == ("phantom-0006",)
    assert part.training == ("phantom-0005", "phantom-0007")


def test_misspelt_validation_case_is_refused(tiny: Resolve, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no case is called phantom-06.*names look like 'phantom-0005'"):
        opened(tiny, tmp_path, "data.split.names=[phantom-06]")


def test_folds_of_a_file_are_taken(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    manifest = index_dataset(phantoms)
    folds = make_folds(manifest, FoldConfig(count=3, seed=9))
    write_folds(folds, tmp_path / "folds.json")
    (part,) = opened(tiny, tmp_path, f"data.split={{file: '{tmp_path / 'folds.json'}', fold: 2, folds: 3}}")
    assert part.validation == folds.folds[2]


def test_fold_that_a_file_has_not_is_refused(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    write_folds(make_folds(index_dataset(phantoms), FoldConfig(count=2)), tmp_path / "folds.json")
    with pytest.raises(ConfigError, match=r"'folds.json' has 2 folds, counted from 0; data.split.fold is 2"):
        opened(tiny, tmp_path, f"data.split={{file: '{tmp_path / 'folds.json'}', fold: 2, folds: 3}}")


def test_split_of_one_data_set_has_no_leak(tiny: Resolve, tmp_path: Path) -> None:
    check_leaks(opened(tiny, tmp_path))


def test_manifest_is_a_data_set(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    write_manifest(index_dataset(phantoms), tmp_path / "manifest.json")
    (part,) = opened(tiny, tmp_path, f"data.datasets.0.path={tmp_path / 'manifest.json'}")
    assert len(part.manifest.cases) == 3


def test_phantoms_are_made_once(tiny: Resolve, tmp_path: Path) -> None:
    setting = "data.datasets=[{phantoms: 2, phantom_spacing_mm: 4.0, first_seed: 3}]"
    (first,) = opened(tiny, tmp_path, setting)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")}
    (second,) = opened(tiny, tmp_path, setting)
    assert len(made) == 10
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nii.gz")} == made
    assert first.manifest.digest == second.manifest.digest


def test_several_data_sets_have_names_of_their_own(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    shutil.copytree(phantoms, tmp_path / "other")
    both = f"data.datasets=[{{path: '{phantoms}'}}, {{path: '{tmp_path / 'other'}'}}]"
    parts = opened(tiny, tmp_path, both, "data.split.names=[other+phantom-0005]")
    with pytest.raises(ConfigError, match=r"1 cases .* another name \(other\+phantom-0005 is set\+phantom-0005\)"):
        check_leaks(parts)
    assert [part.label for part in parts] == ["set", "other"]
    assert [part.validation for part in parts] == [(), ("phantom-0005",)]
    assert [len(part.training) for part in parts] == [3, 2]
    twice = f"data.datasets=[{{path: '{phantoms}'}}, {{path: '{phantoms}'}}]"
    assert [part.label for part in opened(tiny, tmp_path, twice)] == ["set-0", "set-1"]
    with pytest.raises(ConfigError, match="a file of folds is for one data set; the run has 2"):
        opened(tiny, tmp_path, both, "data.split.file=folds.json")


def test_data_set_that_is_not_there_is_named(tiny: Resolve, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no data set at '.*absent'; set data\.datasets\.0\.path"):
        opened(tiny, tmp_path, f"data.datasets.0.path={tmp_path / 'absent'}")


def test_single_case_cannot_be_split(tiny: Resolve, phantoms: Path, tmp_path: Path) -> None:
    shutil.copytree(phantoms / "phantom-0005", tmp_path / "one" / "phantom-0005")
    one = f"data.datasets.0.path={tmp_path / 'one'}"
    with pytest.raises(ConfigError, match=r"or name validation cases in data.split.names"):
        opened(tiny, tmp_path, one)
    with pytest.raises(TrainingError, match="no case is left for training: there are 1 in all"):
        opened(tiny, tmp_path, one, "data.split.names=[phantom-0005]")
