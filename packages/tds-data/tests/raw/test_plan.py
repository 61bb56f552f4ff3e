import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tds_data import LabelError, Modality, Volume, VolumeWriteError
from tds_data.errors import PlanError
from tds_data.raw import NativeSequence, Plan, load_plan, save_plan, to_native, to_prepared
from tds_data.raw.plan import MaskRule, Space, grid_of

T1, T1CE, T2, FLAIR = Modality
ANGLES = st.tuples(*[st.floats(-3.1, 3.1)] * 3)
ZOOMS = st.tuples(*[st.floats(0.5, 4)] * 3)
MOVES = st.tuples(*[st.floats(-0.3, 0.3)] * 3)


def grid(shape: tuple[int, int, int], angles: tuple[float, ...], zooms: tuple[float, ...]) -> Volume:
    turn = nib.eulerangles.euler2mat(*angles) @ np.diag(zooms)
    middle = (np.array(shape) - 1) / 2
    return Volume(np.zeros(shape, np.uint8), nib.affines.from_matvec(turn, -turn @ middle))


def make_plan(native: Volume | None = None, prepared: Volume | None = None, move: np.ndarray | None = None) -> Plan:
    prepared = prepared or grid((20, 22, 18), (0, 0, 0), (1, 1, 1))
    native = native or grid((10, 22, 8), (0.2, 0.1, 0), (2, 1, 3))
    sequences = {
        T2: NativeSequence(grid=grid_of(native), prepared_from_native=np.eye(4) if move is None else move),
        T1CE: NativeSequence(grid=grid_of(prepared), prepared_from_native=np.eye(4)),
    }
    return Plan(reference=T1CE, space=Space.REFERENCE, grid=grid_of(prepared), sequences=sequences)


def ball(volume: Volume, radius_mm: float) -> np.ndarray:
    places = nib.affines.apply_affine(volume.ras_from_voxel, np.moveaxis(np.indices(volume.shape), 0, -1))
    return np.linalg.norm(places, axis=-1) < radius_mm


@settings(max_examples=30, deadline=None)
@given(angles=ANGLES, zooms=ZOOMS, turn=MOVES, shift=MOVES)
def test_masks_go_to_any_raw_grid_and_back(
    angles: tuple[float, ...], zooms: tuple[float, ...], turn: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    prepared = grid((26, 28, 24), (0, 0, 0), (1, 1, 1))
    x, y, z = (int(np.ceil(48 / zoom)) for zoom in zooms)
    move = nib.affines.from_matvec(nib.eulerangles.euler2mat(*turn), np.array(shift) * 10)
    plan = make_plan(grid((x, y, z), angles, zooms), prepared, move)
    labels = prepared.with_voxels((ball(prepared, 9) * 2 + ball(prepared, 6)).astype(np.uint8))
    there = to_native(labels, plan, T2)
    assert there.same_grid(plan.sequence(T2).grid.as_volume())
    back = to_prepared(there, plan, T2)
    for label, inner, outer in ((3, 0, 6), (2, 6, 9)):
        found, truth = back.voxels == label, labels.voxels == label
        dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
        # Voxels within a third of the thicker grid's edge of a border may change sides.
        surface = 4 * np.pi * (inner**2 + outer**2)
        assert dice > 1 - surface * max(*zooms, 1.0) / 3 / (4 / 3 * np.pi * (outer**3 - inner**3))
    centre = back.ras_from_voxel[:3, :3] @ np.argwhere(back.voxels == 3).mean(axis=0) + back.ras_from_voxel[:3, 3]
    assert np.linalg.norm(centre) < 0.25 * max(*zooms, 1.0) + 0.1


@settings(max_examples=30, deadline=None)
@given(angles=ANGLES, seed=st.integers(0, 99))
def test_masks_return_exactly_where_only_the_orientation_differs(angles: tuple[float, ...], seed: int) -> None:
    native = grid((5, 7, 6), angles, (1.1, 0.9, 3.0))
    prepared = Volume(
        native.voxels[::-1].transpose(2, 0, 1),
        native.ras_from_voxel @ nib.orientations.inv_ornt_aff([[1, -1], [2, 1], [0, 1]], native.shape),
    )
    plan = make_plan(native, prepared)
    mask = native.with_voxels(np.random.default_rng(seed).integers(0, 4, native.shape).astype(np.uint8))
    there = to_prepared(mask, plan, T2)
    assert there.shape == prepared.shape
    assert np.array_equal(to_native(there, plan, T2).voxels, mask.voxels)


def test_the_reference_is_meant_if_no_sequence_is_named() -> None:
    plan = make_plan()
    mask = plan.grid.as_volume().with_voxels(ball(plan.grid.as_volume(), 5).astype(np.uint8))
    assert np.array_equal(to_native(mask, plan).voxels, mask.voxels)


def test_any_label_travels_by_the_nearest_rule() -> None:
    plan = make_plan()
    mask = plan.grid.as_volume().with_voxels(ball(plan.grid.as_volume(), 8).astype(np.int16) * 41)
    with pytest.raises(LabelError, match="41"):
        to_native(mask, plan, T2)
    found = to_native(mask, plan, T2, rule=MaskRule.NEAREST)
    assert np.unique(found.voxels).tolist() == [0, 41]
    assert found.voxels.dtype == np.int16
    assert np.mean((found.voxels > 0) == ball(found, 8)) > 0.95


def test_masks_of_other_grids_are_refused() -> None:
    plan = make_plan()
    small = Volume(np.zeros((5, 5, 5), np.uint8), np.eye(4))
    with pytest.raises(PlanError, match=r"has \(5, 5, 5\) voxels and is not on the grid of the prepared study"):
        to_native(small, plan, T2)
    with pytest.raises(PlanError, match="not on the grid of the raw t2"):
        to_prepared(small, plan, T2)
    with pytest.raises(PlanError, match="the study has no flair; it has t1ce, t2"):
        to_native(small, plan, FLAIR)


def test_a_plan_needs_its_reference() -> None:
    with pytest.raises(PlanError, match="t1 is not among"):
        Plan(reference=T1, space=Space.ATLAS, grid=make_plan().grid, sequences=make_plan().sequences)


@settings(max_examples=20, deadline=None)
@given(angles=ANGLES, zooms=ZOOMS, turn=MOVES)
def test_plans_come_back_from_disk_bit_by_bit(
    angles: tuple[float, ...],
    zooms: tuple[float, ...],
    turn: tuple[float, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    move = nib.affines.from_matvec(nib.eulerangles.euler2mat(*turn), (1e-7, 1 / 3, 40))
    plan = make_plan(grid((10, 22, 8), angles, zooms), move=move)
    path = tmp_path_factory.mktemp("plan") / "transforms.json"
    save_plan(path, plan)
    back = load_plan(path)
    assert (back.reference, back.space, tuple(back.sequences)) == (T1CE, Space.REFERENCE, (T1CE, T2))
    assert back.grid.shape == plan.grid.shape
    for modality in (T1CE, T2):
        ours, theirs = plan.sequence(modality), back.sequence(modality)
        assert np.array_equal(ours.prepared_from_native, theirs.prepared_from_native)
        assert np.array_equal(ours.grid.ras_from_voxel, theirs.grid.ras_from_voxel)
        assert ours.grid.shape == theirs.grid.shape


def drop(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: drop(d, "prepared"),
        lambda d: drop(d, "schema_version"),
        lambda d: {**d, "schema_version": "2.0"},
        lambda d: {**d, "reference": "pet"},
        lambda d: {**d, "reference": "t1"},
        lambda d: {**d, "space": "elsewhere"},
        lambda d: {**d, "sequences": []},
        lambda d: {**d, "prepared": {**d["prepared"], "shape": [10**6, 10**6, 1]}},
        lambda d: {**d, "prepared": {**d["prepared"], "shape": [4, 4]}},
        lambda d: {**d, "prepared": {**d["prepared"], "shape": [4, 0, 4]}},
        lambda d: {**d, "prepared": {**d["prepared"], "ras_from_voxel": [[1, 0], [0, 1]]}},
        lambda d: {**d, "prepared": {**d["prepared"], "ras_from_voxel": [["a"] * 4] * 4}},
        lambda d: {**d, "prepared": {**d["prepared"], "ras_from_voxel": [[float("nan")] * 4] * 4}},
        lambda d: {**d, "prepared": {**d["prepared"], "ras_from_voxel": [[0.0] * 4] * 3 + [[0, 0, 0, 1]]}},
        lambda _: [],
        lambda _: None,
    ],
)
def test_damaged_plans_are_refused(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "transforms.json"
    save_plan(path, make_plan())
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(PlanError, match=r"'transforms.json' is no file of transforms"):
        load_plan(path)


def test_files_that_are_no_plans_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"cannot be read \(No such file"):
        load_plan(tmp_path / "transforms.json")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="no file of transforms"):
        load_plan(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("[" * 100_000)
    with pytest.raises(PlanError, match="no file of transforms"):
        load_plan(tmp_path / "x.json")


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(VolumeWriteError, match="No such file"):
        save_plan(tmp_path / "absent" / "transforms.json", make_plan())
