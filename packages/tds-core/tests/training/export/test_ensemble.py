from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tds_core import (
    Bundle,
    BundleIncompatible,
    Ensemble,
    load_bundle,
    open_engine,
    open_model,
    predict,
    segment,
    verify_golden,
)
from tds_core.bundle import DESCRIPTION_NAME, write_manifest
from tds_core.training.export import EnsembleNaming, PackedBundle, make_ensemble
from tds_data.testing import draw_brain


@pytest.fixture(scope="module")
def members(brain: PackedBundle, brain_twin: PackedBundle, making: Any) -> tuple[Bundle, Bundle]:
    return making.opened(brain), making.opened(brain_twin)


@pytest.fixture(scope="module")
def pair(members: tuple[Bundle, Bundle], tmp_path_factory: pytest.TempPathFactory, making: Any) -> Bundle:
    target = tmp_path_factory.mktemp("pair") / "bundle"
    bundle: Bundle = making.opened(make_ensemble(members, target, shares=(3, 1)))
    return bundle


def test_probabilities_are_averaged_by_share(pair: Bundle, members: tuple[Bundle, Bundle]) -> None:
    tensor = np.random.default_rng(0).normal(size=(4, 30, 34, 28)).astype(np.float32)
    one, two = (predict(open_engine(b.graph), tensor, (0,), use=b.use) for b in members)
    assert np.abs(one - two).max() > 0.05
    found = predict(open_model(pair), tensor, (0,), use=pair.use)
    np.testing.assert_allclose(found, 0.75 * one + 0.25 * two, atol=1e-5)


def test_no_two_members_are_open_at_once(pair: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    ensemble, open_now = open_model(pair), []
    assert isinstance(ensemble, Ensemble)

    class Counted:
        def __init__(self) -> None:
            open_now.append(self)
            assert len(alive) == 0
            alive.add(id(self))

        def __del__(self) -> None:
            alive.discard(id(self))

        def infer(self, tensor: np.ndarray) -> np.ndarray:
            open_now.clear()
            return np.zeros((1, 3, *tensor.shape[2:]), np.float32)

    alive: set[int] = set()
    monkeypatch.setattr(Ensemble, "members", lambda _: iter([(Counted, 0.5), (Counted, 0.5)]))
    found = predict(ensemble, np.zeros((4, 8, 8, 8), np.float32), use=pair.use)
    np.testing.assert_allclose(found, 0.5)


def test_ensemble_segments_and_gives_its_golden_case(pair: Bundle) -> None:
    verify_golden(pair, open_model(pair))
    case = draw_brain(shape=(30, 37, 32), spacing_mm=6.0)
    assert segment(case, bundle=pair).report.model.name == "ensemble"


def test_description_names_the_members(pair: Bundle, members: tuple[Bundle, Bundle]) -> None:
    told: Any = pair.description
    assert [m["share"] for m in told["members"]] == [0.75, 0.25]
    assert [m["sha256"] for m in told["provenance"]["members"]] == [b.identity.sha256 for b in members]
    assert told["provenance"]["phantoms"] == "some"
    assert told["postprocessing"]["thresholds"]["WT"] == 0.4
    assert sorted(p.name for p in pair.folder.iterdir()) == [
        "MODEL_CARD.md",
        "bundle.yaml",
        "golden.npz",
        "manifest.json",
        "model-2.onnx",
        "model.onnx",
        "weights-2.safetensors",
        "weights.safetensors",
    ]
    assert "Together they were not measured" in (pair.folder / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_members_count_alike_by_default(members: tuple[Bundle, Bundle], tmp_path: Path, making: Any) -> None:
    made = make_ensemble(members, tmp_path / "bundle", naming=EnsembleNaming(name="five folds", version="2"))
    bundle = making.opened(made)
    assert [m.share for m in bundle.use.members] == [0.5, 0.5]
    assert (bundle.identity.name, bundle.identity.version) == ("five folds", "2")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: replace(b, preprocess=replace(b.preprocess, spacing_mm=2.0)), "differ in preprocessing"),
        (lambda b: replace(b, use=replace(b.use, heads="classes")), "differ in heads"),
        (lambda b: replace(b, use=replace(b.use, reversed_axes=(0,))), "differ in orientation"),
        (lambda b: replace(b, use=replace(b.use, windows=replace(b.use.windows, overlap=0.1))), "differ in windows"),
        (lambda b: replace(b, use=replace(b.use, members=b.use.members * 2)), "is an ensemble itself"),
    ],
)
def test_members_that_do_not_fit_together_are_refused(
    members: tuple[Bundle, Bundle], tmp_path: Path, change: Any, message: str
) -> None:
    with pytest.raises(BundleIncompatible, match=message):
        make_ensemble((members[0], change(members[1])), tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


def test_members_of_other_tasks_are_refused(
    members: tuple[Bundle, Bundle], liver: PackedBundle, tmp_path: Path, making: Any
) -> None:
    with pytest.raises(BundleIncompatible, match="differ in task, preprocessing, heads, windows"):
        make_ensemble((members[0], making.opened(liver)), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("picked", "shares", "message"),
    [
        ((0,), None, "has 2 to 32 bundles; 1 were given"),
        ((0, 0), None, "was given twice"),
        ((0, 1), (1.0,), "needs a share above 0"),
        ((0, 1), (1.0, 0.0), "needs a share above 0"),
    ],
)
def test_numbers_that_make_no_ensemble_are_refused(
    members: tuple[Bundle, Bundle], tmp_path: Path, picked: tuple[int, ...], shares: Any, message: str
) -> None:
    with pytest.raises(BundleIncompatible, match=message):
        make_ensemble([members[i] for i in picked], tmp_path / "bundle", shares=shares)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("graph: model-2.onnx", "graph: ../model-2.onnx", "names the graph '../model-2.onnx', which is not in"),
        ("graph: model-2.onnx", "graph: model-3.onnx", "names the graph 'model-3.onnx'"),
        ("share: 0.25", "share: 0.5", "add up to 1"),
    ],
)
def test_description_of_members_that_cannot_be_is_refused(
    pair: Bundle, tmp_path: Path, old: str, new: str, message: str
) -> None:
    for file in pair.folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / DESCRIPTION_NAME).read_text(encoding="utf-8")
    head, members, rest = text.partition("members:")
    assert yaml.safe_load(text)["members"]
    (tmp_path / DESCRIPTION_NAME).write_text(head + members + rest.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BundleIncompatible, match=message):
        load_bundle(tmp_path, trusted=[write_manifest(tmp_path, version=2)])
