import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_datasets import entry, imagined, manifest_of

from tds_data import Volume
from tds_data.curation import (
    FoldConfig,
    Folds,
    make_folds,
    read_folds,
    read_nnunet_splits,
    tumour_volumes_ml,
    write_folds,
    write_nnunet_splits,
)
from tds_data.datasets.manifest import CaseEntry
from tds_data.errors import DatasetError, FoldError, LabelError, VolumeWriteError

PATIENTS = st.integers(5, 40)


@st.composite
def studies(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, float], int]:
    """Cases with their patients and volumes, and a number of folds."""
    sessions = draw(st.lists(st.integers(1, 3), min_size=5, max_size=30))
    names = {f"p{p}-{s}": f"p{p}" for p, count in enumerate(sessions) for s in range(count)}
    volumes = {name: draw(st.floats(0, 300).map(lambda v: round(v, 3))) for name in names}
    return names, volumes, draw(st.integers(2, 5))


@settings(max_examples=60, deadline=None)
@given(study=studies(), seed=st.integers(0, 2**64))
def test_folds_are_a_partition_by_patients(study: tuple[dict[str, str], dict[str, float], int], seed: int) -> None:
    names, volumes, count = study
    folds = make_folds(imagined(names), FoldConfig(count=count, seed=seed), volumes_ml=volumes)
    assert sorted(name for fold in folds.folds for name in fold) == sorted(names)
    patients = [{names[name] for name in fold} for fold in folds.folds]
    assert sum(map(len, patients)) == len(set(names.values()))
    sizes = [len(fold) for fold in patients]
    assert max(sizes) - min(sizes) <= 1
    assert all(fold == tuple(sorted(fold)) for fold in folds.folds)


@settings(max_examples=40, deadline=None)
@given(study=studies(), seed=st.integers(0, 100), shuffle=st.randoms(use_true_random=False))
def test_folds_do_not_depend_on_the_order_of_the_cases(
    study: tuple[dict[str, str], dict[str, float], int], seed: int, shuffle: random.Random
) -> None:
    names, volumes, count = study
    mixed = list(names.items())
    shuffle.shuffle(mixed)
    config = FoldConfig(count=count, seed=seed)
    first = make_folds(imagined(names), config, volumes_ml=volumes)
    second = make_folds(imagined(dict(mixed)), config, volumes_ml=volumes)
    assert first.folds == second.folds


@settings(max_examples=60, deadline=None)
@given(volumes=st.lists(st.floats(0, 300), min_size=5, max_size=60), count=st.integers(2, 5), seed=st.integers(0, 9))
def test_folds_of_one_size_differ_by_less_than_the_range_of_volumes(
    volumes: list[float], count: int, seed: int
) -> None:
    names = {f"{i:03}": f"{i:03}" for i in range(len(volumes) // count * count)}
    given_ml = {name: round(volumes[i], 3) for i, name in enumerate(names)}
    folds = make_folds(imagined(names), FoldConfig(count=count, seed=seed), volumes_ml=given_ml)
    totals = [sum(given_ml[name] for name in fold) for fold in folds.folds]
    assert max(totals) - min(totals) <= max(given_ml.values()) - min(given_ml.values()) + 1e-6


@settings(max_examples=40, deadline=None)
@given(sexes=st.lists(st.sampled_from("fm"), min_size=10, max_size=40), count=st.integers(2, 5))
def test_values_of_an_attribute_are_spread_evenly(sexes: list[str], count: int) -> None:
    names = {f"{i:03}": f"{i:03}" for i in range(len(sexes))}
    sex = dict(zip(names, sexes, strict=True))
    folds = make_folds(
        imagined(names, sex=sex), FoldConfig(count=count, attribute="sex"), volumes_ml=dict.fromkeys(names, 1.0)
    )
    for value in set(sexes):
        counts = [sum(sex[name] == value for name in fold) for fold in folds.folds]
        assert max(counts) - min(counts) <= 1


def test_split_of_a_seed_never_changes() -> None:
    names = {f"case-{i}": f"patient-{i // 2}" for i in range(14)}
    volumes = {name: float(i * 7 % 11) for i, name in enumerate(names)}
    folds = make_folds(imagined(names), FoldConfig(count=3, seed=42), volumes_ml=volumes)
    assert [[name.removeprefix("case-") for name in fold] for fold in folds.folds] == [
        ["10", "11", "6", "7"],
        ["0", "1", "2", "3"],
        ["12", "13", "4", "5", "8", "9"],
    ]


def test_another_seed_gives_another_split() -> None:
    names = {f"{i}": f"{i}" for i in range(20)}
    volumes = dict.fromkeys(names, 1.0)
    splits = {make_folds(imagined(names), FoldConfig(seed=s), volumes_ml=volumes).folds for s in range(10)}
    assert len(splits) == 10


def test_numbers_of_cases_are_balanced_where_patients_have_several() -> None:
    names = {f"{p}-{s}": f"{p}" for p in range(10) for s in range(1 + 4 * (p % 2))}
    folds = make_folds(imagined(names), FoldConfig(count=5), volumes_ml={n: float(n[0]) for n in names})
    assert [len(fold) for fold in folds.folds] == [6] * 5


def test_patient_of_a_held_out_case_is_held_out_whole() -> None:
    names = {f"{p}-{s}": f"{p}" for p in range(8) for s in range(2)}
    config = FoldConfig(count=3, holdout=("3-1",), left_out=("5-0",))
    folds = make_folds(imagined(names, unmasked=("6-1",)), config, volumes_ml=dict.fromkeys(names, 2.0))
    assert folds.holdout == ("3-0", "3-1")
    assert folds.left_out == ("5-0", "6-1")
    assert folds.places["3-0"] == "holdout"
    assert {folds.places["5-1"], folds.places["6-0"]} <= {"fold 0", "fold 1", "fold 2"}
    assert "5-0" not in folds.places
    assert set(folds.training(0)) == set(folds.folds[1]) | set(folds.folds[2])
    for missing in (-1, 3):
        with pytest.raises(FoldError, match="there is no fold"):
            folds.training(missing)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (FoldConfig(count=6), "5 patients with a mask are too few for 6 folds; ask for 5 folds at most"),
        (FoldConfig(count=4, holdout=("0", "1")), "3 patients .* hold out fewer"),
        (FoldConfig(count=2, left_out=("0", "1", "2", "3")), "1 patients with a mask cannot be split"),
        (FoldConfig(holdout=("x",)), "no case 'x'"),
        (FoldConfig(left_out=("x",)), "no case 'x'"),
        (FoldConfig(holdout=("bare",)), "has no mask to test with"),
        (FoldConfig(attribute="age"), "no case has the attribute 'age'"),
        (FoldConfig(attribute="id"), "has 5 values for 5 patients, too many"),
    ],
)
def test_impossible_split_is_refused_with_a_way_out(config: FoldConfig, words: str) -> None:
    names = {f"{i}": f"{i}" for i in range(5)} | {"bare": "bare"}
    manifest = imagined(names, unmasked=("bare",), id={name: name for name in names})
    with pytest.raises(FoldError, match=words):
        make_folds(manifest, config, volumes_ml=dict.fromkeys(names, 1.0))


def test_volume_that_is_not_given_is_told() -> None:
    with pytest.raises(FoldError, match="no volume is given for '1'"):
        make_folds(imagined({"0": "0", "1": "1"}), FoldConfig(count=2), volumes_ml={"0": 1.0})


@pytest.mark.parametrize("values", [{"count": 1}, {"seed": -1}, {"holdout": ("a",), "left_out": ("a",)}])
def test_impossible_config_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(FoldError):
        FoldConfig(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "values",
    [
        {"manifest_sha256": "abc"},
        {"folds": (("a",),)},
        {"folds": (("a",), ())},
        {"folds": (("a",), ("a",))},
        {"holdout": ("a",)},
        {"left_out": ("b",)},
    ],
)
def test_impossible_folds_are_refused(values: dict[str, object]) -> None:
    good = Folds(manifest_sha256="0" * 64, seed=0, folds=(("a",), ("b",)))
    with pytest.raises(FoldError):
        replace(good, **values)  # type: ignore[arg-type]


@pytest.fixture
def folds() -> Folds:
    names = {f"{i}": f"{i}" for i in range(6)}
    config = FoldConfig(count=2, seed=3, holdout=("5",), left_out=("4",))
    return make_folds(imagined(names), config, volumes_ml={name: float(name) for name in names})


def test_folds_come_back_from_their_file(folds: Folds, tmp_path: Path) -> None:
    write_folds(folds, tmp_path / "folds.json")
    again = read_folds(tmp_path / "folds.json", manifest=imagined({f"{i}": f"{i}" for i in range(6)}))
    assert again == folds
    assert dict(again.volumes_ml) == {f"{i}": float(i) for i in range(6)}


def test_folds_of_another_data_set_are_refused(folds: Folds, tmp_path: Path) -> None:
    write_folds(folds, tmp_path / "folds.json")
    with pytest.raises(FoldError, match="made for another data set, or it has changed since"):
        read_folds(tmp_path / "folds.json", manifest=imagined({f"{i}": "one" for i in range(6)}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "2.0"}, "version '2.0' cannot be read"),
        ({"version": 1}, "not a file of folds"),
        ({"more": 1}, "unknown keys, 'more' among them"),
        ({"seed": None}, "seed is to be a whole number"),
        ({"seed": -1}, "seed is to be a whole number"),
        ({"seed": True}, "seed is to be a whole number"),
        ({"attribute": 1}, "attribute is to be a text"),
        ({"manifest_sha256": 1}, "manifest_sha256 is to be a text"),
        ({"folds": {}}, "folds is to be a list"),
        ({"folds": [["0"], [1]]}, "folds is to be made of names"),
        ({"folds": [["0"], ["0"]]}, "each case is at one place"),
        ({"holdout": "5"}, "holdout is to be a list"),
        ({"volumes_ml": []}, "volumes_ml is to be an object"),
        ({"volumes_ml": {"0": "1"}}, "volumes_ml is to be an object"),
        ({"volumes_ml": {"0": True}}, "volumes_ml is to be an object"),
        ({"volumes_ml": {"0": -1.0}}, "volumes_ml is to be an object"),
    ],
)
def test_file_that_was_changed_by_hand_is_refused(
    folds: Folds, tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    write_folds(folds, tmp_path / "folds.json")
    document = json.loads((tmp_path / "folds.json").read_text())
    (tmp_path / "folds.json").write_text(json.dumps(document | changes))
    with pytest.raises(FoldError, match=words):
        read_folds(tmp_path / "folds.json")
    if "more" not in changes:
        document.pop(next(iter(changes)))
        (tmp_path / "folds.json").write_text(json.dumps(document))
        with pytest.raises(FoldError, match=r"lack|not a file of folds"):
            read_folds(tmp_path / "folds.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": "1.0", "version": "1.0"}'])
def test_what_is_no_file_of_folds_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "folds.json").write_text(text)
    with pytest.raises(FoldError):
        read_folds(tmp_path / "folds.json")


def test_folds_that_cannot_be_written_are_told(folds: Folds, tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError, match="No such file"):
        write_folds(folds, tmp_path / "nothing" / "folds.json")


def test_splits_of_nnunet_have_every_case_once_for_validation(folds: Folds, tmp_path: Path) -> None:
    write_nnunet_splits(folds, tmp_path / "splits_final.json")
    splits = json.loads((tmp_path / "splits_final.json").read_text())
    assert [sorted(split) for split in splits] == [["train", "val"]] * 2
    assert sorted(name for split in splits for name in split["val"]) == ["0", "1", "2", "3"]
    for split in splits:
        assert sorted(split["train"] + split["val"]) == ["0", "1", "2", "3"]
    read = read_nnunet_splits(tmp_path / "splits_final.json")
    assert read == tuple((folds.training(number), fold) for number, fold in enumerate(folds.folds))


@pytest.mark.parametrize("text", ["{", "{}", "[1]", '[{"train": []}]', '[{"train": [], "val": [1]}]'])
def test_what_are_no_splits_of_nnunet_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "splits_final.json").write_text(text)
    with pytest.raises(FoldError):
        read_nnunet_splits(tmp_path / "splits_final.json")


def masked(root: Path, name: str, labels: np.ndarray, index: int | None = None) -> CaseEntry:
    image = Volume(np.ones((2, 2, 2), np.uint8), np.eye(4))
    mask = entry(root, f"{name}-m.nii.gz", Volume(labels, np.diag([2.0, 2.0, 1.0, 1.0])), index=index)
    return CaseEntry(name=name, patient=name, images={"t1": entry(root, f"{name}.nii.gz", image)}, mask=mask)


@pytest.mark.parametrize(
    ("scheme", "expected_ml"),
    [("brats-2023", 2.4), ("brats-2024", 2.0), ("brats-ped-2024", 2.4), ("hecktor", 2.4), ("lits", 0.8)],
)
def test_tumour_is_what_the_scheme_calls_so(tmp_path: Path, scheme: str, expected_ml: float) -> None:
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:6] = np.repeat([1, 2, 3, 4, 2, 1], 100).reshape(6, 10, 10)
    told: list[tuple[int, int, str]] = []
    manifest = manifest_of(tmp_path, [masked(tmp_path, "a", labels)], scheme)
    assert tumour_volumes_ml(manifest, progress=lambda *now: told.append(now)) == {"a": expected_ml}
    assert told == [(1, 1, "measuring tumours")]


def test_what_nnunet_ignores_is_no_tumour(tmp_path: Path) -> None:
    labels = np.repeat(np.uint8([1, 2]), 500).reshape(10, 10, 10)
    manifest = manifest_of(tmp_path, [masked(tmp_path, "a", labels)], "custom")
    manifest = replace(manifest, labels={"ET": (1,), "ignore": (2,)})
    assert tumour_volumes_ml(manifest) == {"a": 2.0}


def test_masks_are_measured_when_no_volumes_are_given(tmp_path: Path) -> None:
    cases = []
    for number in range(4):
        labels = np.zeros((10, 10, 10), np.uint8)
        labels[: number + 1] = 1
        cases.append(masked(tmp_path, f"{number}", labels))
    folds = make_folds(manifest_of(tmp_path, cases), FoldConfig(count=2), workers=2)
    assert dict(folds.volumes_ml) == {"0": 0.4, "1": 0.8, "2": 1.2, "3": 1.6}
    assert {frozenset(fold) & {"0", "1"} for fold in folds.folds} == {frozenset({"0"}), frozenset({"1"})}


def test_mask_that_is_none_is_told(tmp_path: Path) -> None:
    probabilities = masked(tmp_path, "a", np.full((2, 2, 2), 0.5, np.float32))
    with pytest.raises(LabelError):
        tumour_volumes_ml(manifest_of(tmp_path, [probabilities]))
    beyond = masked(tmp_path, "a", np.ones((2, 2, 2), np.uint8), index=3)
    with pytest.raises(DatasetError, match="number 3 is asked for"):
        tumour_volumes_ml(manifest_of(tmp_path, [beyond]))


@pytest.mark.real_data
def test_real_patients_are_spread_by_volume(real_patients: list[Path]) -> None:
    from tds_data.datasets.index import index_dataset  # noqa: PLC0415  # the real patients are few

    manifest = index_dataset(real_patients[0].parent)
    folds = make_folds(manifest, FoldConfig(count=3, holdout=("BraTS2021_00003", "BraTS2021_01481")))
    assert folds.holdout == ("BraTS2021_00003", "BraTS2021_01481")
    assert sorted(len(fold) for fold in folds.folds) == [3, 4, 4]
    assert all(5 < volume < 400 for volume in folds.volumes_ml.values())
    means = [np.mean([folds.volumes_ml[name] for name in fold]) for fold in folds.folds]
    assert max(means) < 2 * min(means)
