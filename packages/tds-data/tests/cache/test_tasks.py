from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tds_data import PreprocessConfig, Volume, prepare, to_canonical
from tds_data.cache import (
    CacheConfig,
    TaskCase,
    build_cache,
    combine_caches,
    load_task_case,
    open_cache,
    prepare_task,
    task_labels,
)
from tds_data.cache.cached_case import foreground_order
from tds_data.cache.index import INDEX_NAME
from tds_data.cache.task_prepare import resample_to_network
from tds_data.datasets import Manifest, find_scheme, index_dataset, load_entry
from tds_data.errors import (
    CacheError,
    DamagedCache,
    DatasetError,
    GridMismatch,
    LabelError,
    StaleCache,
    TaskError,
    UnusableCase,
    VoxelError,
)
from tds_data.preprocess import restore
from tds_data.task import BRAIN_TUMOUR, HEAD_NECK_TUMOUR, LIVER_TUMOUR, Task

LITS = CacheConfig(preprocess=PreprocessConfig(spacing_mm=(2.0, 2.0, 5.0)), task=LIVER_TUMOUR)
HECKTOR = CacheConfig(preprocess=PreprocessConfig(spacing_mm=(2.0, 2.0, 5.0)), task=HEAD_NECK_TUMOUR)

MakeSet = Callable[..., Path]


def test_window_is_spread_over_the_whole_image(lits: MakeSet, tmp_path: Path) -> None:
    root = lits(1)
    case = build_cache(index_dataset(root), tmp_path / "cache", LITS).cases[0]
    stored = nib.load(root / "volume-0.nii")
    hounsfield = to_canonical(Volume(np.asarray(stored.dataobj), stored.affine)).voxels
    body = np.argwhere(hounsfield > -200)
    part = tuple(slice(a, b + 1) for a, b in zip(body.min(0), body.max(0), strict=True))
    expected = np.clip((hounsfield[part] + 200) / 250 - 1, -1, 1)
    image = case.arrays().image[0] * case.scale
    assert image.shape == expected.shape
    assert np.abs(image - expected).max() < case.scale
    assert case.outside == (-1.0,)


def test_labels_are_the_tasks_by_the_names_of_tissues(lits: MakeSet, tmp_path: Path) -> None:
    turned = replace(
        LIVER_TUMOUR, labels=("tumor", "liver"), regions={"all": (1, 2), "tumour": (1,)}, name="tumour-first"
    )
    manifest = index_dataset(lits(1))
    one = build_cache(manifest, tmp_path / "one", LITS).cases[0]
    other = build_cache(manifest, tmp_path / "other", replace(LITS, task=turned)).cases[0]
    assert one.counts[1] == other.counts[2] > 0
    assert one.counts[2] == other.counts[1] > 0
    assert one.region_voxels("liver") == other.region_voxels("all")
    assert list(other.counts) == [2, 1]
    np.testing.assert_array_equal(one.arrays().labels == 2, other.arrays().labels == 1)


def test_every_voxel_of_a_region_can_be_drawn(hecktor: MakeSet, tmp_path: Path) -> None:
    task = replace(HEAD_NECK_TUMOUR, regions={"all": (1, 2), "GTVn": (2,), "GTVp": (1,)})
    case = build_cache(index_dataset(hecktor(1)), tmp_path / "cache", replace(HECKTOR, task=task)).cases[0]
    arrays = case.arrays()
    for region, labels in task.regions.items():
        count = case.region_voxels(region)
        found = {case.region_voxel(arrays.foreground, region, n) for n in range(count)}
        assert found == {tuple(map(int, p)) for p in np.argwhere(np.isin(arrays.labels, labels))}


def test_regions_that_are_not_nested_are_drawn_from_runs_apart() -> None:
    task = Task(name="t", channels=("a",), labels=("x", "y", "z"), regions={"ends": (1, 3), "middle": (2,)})
    assert foreground_order(task) == (1, 2, 3)
    assert foreground_order(BRAIN_TUMOUR) == (2, 1, 3)


def test_pet_is_where_it_is_in_the_world_of_ct(hecktor: MakeSet) -> None:
    root = hecktor(1)
    case = load_task_case(index_dataset(root), index_dataset(root).cases[0], HEAD_NECK_TUMOUR)
    view = prepare_task(case, HECKTOR.preprocess)
    pet = nib.load(root / "imagesTr" / "CHUM-000__PT.nii.gz")
    canonical = to_canonical(case.images["ct"])
    x, y, z = view.prepared.tensor.shape[1:]
    voxels = np.stack(np.meshgrid(*[np.arange(n) for n in (x, y, z)], indexing="ij"), -1) + view.prepared.box.start
    world = voxels @ canonical.ras_from_voxel[:3, :3].T + canonical.ras_from_voxel[:3, 3]
    inverse = np.linalg.inv(pet.affine)
    places = world @ inverse[:3, :3].T + inverse[:3, 3]
    # PET's voxels are shorter along z, so that values are averages there; the hot ball outweighs that.
    expected = ndimage.map_coordinates(pet.get_fdata(), places.reshape(-1, 3).T, order=1, mode="grid-constant")
    found = view.prepared.tensor[1].ravel()
    assert np.corrcoef(found, expected)[0, 1] > 0.95
    assert "pet has another grid than ct" in view.notes[0]


def test_what_only_one_channel_shows_is_cut_away_and_told(hecktor: MakeSet, tmp_path: Path) -> None:
    whole = build_cache(index_dataset(hecktor(1)), tmp_path / "a", HECKTOR).cases[0]
    short = build_cache(index_dataset(hecktor(1, shift_mm=60.0)), tmp_path / "b", HECKTOR).cases[0]
    assert short.shape[2] < whole.shape[2]
    assert any("were cut away" in note and "label" in note for note in short.notes)
    assert not any("label" in note for note in whole.notes)


def test_channels_without_a_common_place_are_refused(hecktor: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(UnusableCase, match="no common place") as caught:
        build_cache(index_dataset(hecktor(1, shift_mm=500.0)), tmp_path / "cache", HECKTOR)
    assert isinstance(caught.value.__cause__, GridMismatch)


def test_missing_channel_is_all_zero(hecktor: MakeSet, tmp_path: Path) -> None:
    cases = build_cache(index_dataset(hecktor(2, without_pet=1)), tmp_path / "cache", HECKTOR).cases
    assert [case.present for case in cases] == [(True, True), (True, False)]
    assert not cases[1].arrays().image[1].any()
    assert cases[1].outside == (-1.0, 0.0)
    assert cases[1].windowed == (0,)


def test_mask_on_the_grid_of_another_channel_is_brought_along() -> None:
    task = Task(name="t", channels=("ct", "pet"), labels=("x",), regions={"x": (1,)})
    ct = Volume(np.pad(np.full((16, 16, 16), 100), 2), np.eye(4))
    fine = np.zeros((40, 40, 40), np.uint8)
    fine[10:30, 10:30, 10:30] = 1
    affine = np.diag([0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = -0.25
    pet = Volume(np.pad(np.full((38, 38, 38), 7.0), 1), affine)
    case = TaskCase(name="c", task=task, images={"ct": ct, "pet": pet}, reference=Volume(fine, affine))
    view = prepare_task(case, PreprocessConfig(spacing_mm=1.0))
    assert int(view.labels.sum()) == 1000
    strange = replace(case, reference=Volume(fine[1:], affine))
    with pytest.raises(GridMismatch, match="on the grid of none"):
        prepare_task(strange, PreprocessConfig(spacing_mm=1.0))


def test_result_goes_back_to_the_first_channels_own_grid(hecktor: MakeSet) -> None:
    manifest = index_dataset(hecktor(1))
    case = load_task_case(manifest, manifest.cases[0], HEAD_NECK_TUMOUR)
    assert case.reference is not None
    view = prepare_task(case, HECKTOR.preprocess)
    for label in (1, 2):
        back = restore((view.labels == label).astype(np.float32), view.prepared)
        np.testing.assert_array_equal(back > 0.5, case.reference.voxels == label)


def test_brain_of_any_task_is_the_tensor_of_a_brain(data_set: Callable[..., Manifest]) -> None:
    manifest = data_set(1)
    config = PreprocessConfig(spacing_mm=4.0)
    task = replace(BRAIN_TUMOUR, name="mine", channels=("flair", "t1ce"))
    expected = prepare(load_entry(manifest, manifest.cases[0]), config).tensor
    found = prepare_task(load_task_case(manifest, manifest.cases[0], task), config).prepared.tensor
    whole = prepare_task(load_task_case(manifest, manifest.cases[0], replace(BRAIN_TUMOUR, name="all")), config)
    np.testing.assert_array_equal(whole.prepared.tensor, expected)
    assert found.shape == (2, *expected.shape[1:])


def test_cache_of_brains_is_the_one_that_was_made_before(
    data_set: Callable[..., Manifest], at_3_mm: CacheConfig, tmp_path: Path
) -> None:
    assert at_3_mm.format_version == 1
    assert set(at_3_mm.to_dict()) == {"preprocess", "others"}
    cache = build_cache(data_set(1), tmp_path / "cache", at_3_mm)
    assert cache.cases[0].task == BRAIN_TUMOUR
    assert b'"task"' not in cache.cases[0].path.read_bytes()[:4096]


def test_cache_of_another_task_is_made_anew(lits: MakeSet, tmp_path: Path) -> None:
    manifest = index_dataset(lits(2))
    build_cache(manifest, tmp_path / "cache", LITS)
    assert build_cache(manifest, tmp_path / "cache", LITS).built == 0
    assert open_cache(tmp_path / "cache", config=LITS).cases[0].task == LIVER_TUMOUR
    narrow = replace(LITS, task=replace(LIVER_TUMOUR, windows={"ct": (0.0, 100.0)}))
    with pytest.raises(StaleCache, match="another configuration"):
        open_cache(tmp_path / "cache", config=narrow)
    assert build_cache(manifest, tmp_path / "cache", narrow).built == 2


def test_header_with_a_task_that_cannot_be_is_damage(
    lits: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Task, "to_dict", lambda self: {"name": self.name})
    with pytest.raises(UnusableCase, match="its task cannot be read") as caught:
        build_cache(index_dataset(lits(1)), tmp_path / "cache", LITS)
    assert isinstance(caught.value.__cause__, DamagedCache)


def test_label_outside_the_scheme_is_named(lits: MakeSet) -> None:
    root = lits(1)
    manifest = index_dataset(root, scheme="lits")
    mask = nib.load(root / "segmentation-0.nii")
    numbers = np.asarray(mask.dataobj).copy()
    numbers[0, 0, 0] = 7
    nib.save(nib.Nifti1Image(numbers, mask.affine), root / "segmentation-0.nii")
    with pytest.raises(LabelError, match=r"outside the scheme lits \(7\)"):
        load_task_case(manifest, manifest.cases[0], LIVER_TUMOUR)


def test_tissue_without_a_label_is_named_or_given_one(lits: MakeSet) -> None:
    task = Task(name="livers", channels=("ct",), labels=("liver",), regions={"liver": (1,)})
    manifest = index_dataset(lits(1))
    with pytest.raises(LabelError, match="the mask holds tumour, which the task 'livers' has no label for"):
        load_task_case(manifest, manifest.cases[0], task)
    found = load_task_case(manifest, manifest.cases[0], task, others={"tumour": 1})
    assert found.reference is not None
    assert set(np.unique(found.reference.voxels)) == {0, 1}
    with pytest.raises(LabelError, match="are 0 to 1"):
        load_task_case(manifest, manifest.cases[0], task, others={"tumour": 2})


def test_label_that_no_case_has_is_no_fault(lits: MakeSet, tmp_path: Path) -> None:
    cache = build_cache(index_dataset(lits(2, tumours=False), scheme="lits"), tmp_path / "cache", LITS)
    assert all(case.counts[2] == 0 and case.region_voxels("tumour") == 0 for case in cache.cases)


def test_more_labels_than_a_brain_has_are_kept_apart() -> None:
    names = tuple(f"organ {n}" for n in range(1, 8))
    task = Task(name="organs", channels=("ct",), labels=names, regions={n: (i,) for i, n in enumerate(names, start=1)})
    scheme = {name: (i,) for i, name in enumerate(names, start=1)}
    mask = Volume(np.arange(8, dtype=np.int16).repeat(27).reshape(6, 6, 6), np.eye(4))
    found = task_labels(mask, find_scheme("custom", scheme), task)
    np.testing.assert_array_equal(found.voxels, mask.voxels)
    assert found.voxels.dtype == np.uint8


def test_coarse_labels_are_the_largest_where_half_is_filled() -> None:
    labels = np.zeros((4, 2, 2), np.uint8)
    labels[0] = 1
    labels[1] = [[1, 2], [2, 2]]
    labels[2, 0] = 3
    found = resample_to_network(labels, (2.0, 2.0, 2.0), (2, 1, 1))
    assert found.ravel().tolist() == [1, 0]
    np.testing.assert_array_equal(resample_to_network(labels, (1.0, 1.0, 1.0), (4, 2, 2)), labels)


def test_ct_below_its_window_is_refused(lits: MakeSet) -> None:
    manifest = index_dataset(lits(1))
    task = replace(LIVER_TUMOUR, windows={"ct": (5000.0, 6000.0)})
    with pytest.raises(VoxelError, match="rescale slope"):
        prepare_task(load_task_case(manifest, manifest.cases[0], task), LITS.preprocess)


def test_case_without_any_channel_of_the_task_is_refused(lits: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(UnusableCase, match="looks at t1, t1ce, and the case has ct") as caught:
        build_cache(
            index_dataset(lits(1)),
            tmp_path / "cache",
            CacheConfig(task=replace(BRAIN_TUMOUR, name="two", channels=("t1", "t1ce"))),
        )
    assert isinstance(caught.value.__cause__, DatasetError)


def test_modalities_beside_a_task_are_refused() -> None:
    with pytest.raises(CacheError, match="says which channels"):
        CacheConfig(preprocess=PreprocessConfig(modalities=("t1",)), task=LIVER_TUMOUR)


def test_task_survives_json_and_refuses_what_is_none() -> None:
    assert Task.from_dict(HEAD_NECK_TUMOUR.to_dict()) == HEAD_NECK_TUMOUR
    assert HEAD_NECK_TUMOUR.windowed == (0,)
    with pytest.raises(TaskError, match="this is no task"):
        Task.from_dict({"name": "x"})
    with pytest.raises(TaskError, match="holds the labels"):
        Task.from_dict({**LIVER_TUMOUR.to_dict(), "regions": {"x": [9]}})
    with pytest.raises(TaskError, match="at most 255"):
        Task(name="t", channels=("a",), labels=tuple(map(str, range(256))), regions={"x": (1,)})


def test_caches_are_combined_under_names_of_their_own(lits: MakeSet, hecktor: MakeSet, tmp_path: Path) -> None:
    manifest = index_dataset(lits(2))
    caches = {name: build_cache(manifest, tmp_path / name, LITS) for name in ("north", "south")}
    cases = combine_caches(caches)
    assert [case.name for case in cases] == ["north+volume-0", "north+volume-1", "south+volume-0", "south+volume-1"]
    assert len({case.patient for case in cases}) == 4
    assert combine_caches({"north": caches["north"]}) == caches["north"].cases
    for case in cases:
        case.verify()
    other = build_cache(index_dataset(hecktor(1)), tmp_path / "other", HECKTOR)
    with pytest.raises(CacheError, match="make both for one task"):
        combine_caches({**caches, "other": other})
    with pytest.raises(CacheError, match="without '\\+'"):
        combine_caches({"a+b": other, "c": other})


def test_index_says_the_version_of_its_kind(lits: MakeSet, tmp_path: Path) -> None:
    cache = build_cache(index_dataset(lits(1)), tmp_path / "cache", LITS)
    assert '"format_version": 2' in (cache.folder / INDEX_NAME).read_text()
