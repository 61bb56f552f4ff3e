import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from small_datasets import AFFINE, brain, case, entry, manifest_of

from tds_data import Volume, read_volume, write_volume
from tds_data.curation import Folds, Leak, LeakKind, find_leaks, refuse_leaks
from tds_data.curation.leaks import LIKELY, SAME_IMAGE
from tds_data.curation.overlap import detail, overlap_correlation
from tds_data.curation.spectrum import best_order, orderless, spectrum
from tds_data.datasets.manifest import CaseEntry, FileEntry, Manifest
from tds_data.errors import DataLeak, DatasetError, FoldError

Image = NDArray[np.float32]


def compared(first: Volume, second: Volume) -> tuple[float, float]:
    alike, order = best_order(spectrum(first), spectrum(second))
    return alike, overlap_correlation(detail(first), detail(second), order)


def noisy(image: Image) -> Image:
    noise = np.random.default_rng(1).normal(0, 60, image.shape)
    return (image + noise).astype(np.float32)


COPIES: dict[str, Callable[[Image], Volume]] = {
    "saved anew": lambda x: Volume(x, AFFINE),
    "other scale and type": lambda x: Volume(np.rint(x / 4).astype(np.uint8), AFFINE),
    "offset": lambda x: Volume(x - 1024, AFFINE),
    "negated background": lambda x: Volume(np.where(x > 0, x - x[x > 0].mean(), 0), AFFINE),
    "noise": lambda x: Volume(noisy(x), AFFINE),
    "smoothed": lambda x: Volume(ndimage.gaussian_filter(x, 0.7), AFFINE),
    "padded": lambda x: Volume(np.pad(x, ((3, 9), (0, 20), (7, 2))), AFFINE),
    "cropped": lambda x: Volume(x[4:, :-5, 5:], AFFINE),
    "coarser": lambda x: Volume(ndimage.zoom(x, 0.75, order=1), np.diag([4.0, 4.0, 4.0, 1.0])),
    "mirrored": lambda x: Volume(x[::-1], AFFINE),
    "mirrored twice": lambda x: Volume(x[:, ::-1, ::-1], AFFINE),
    "not finite outside": lambda x: Volume(np.where(x > 0, x, np.nan), AFFINE),
    "mirror in the header": lambda x: Volume(x[::-1], AFFINE * [-1, 1, 1, 1]),
}


@pytest.mark.parametrize("name", COPIES)
def test_copy_is_the_same_image(name: str) -> None:
    image = brain(0)
    with np.errstate(all="ignore"):
        alike, details = compared(Volume(image, AFFINE), COPIES[name](image))
    assert alike > LIKELY + 0.1
    assert details > SAME_IMAGE


TURNS = [((0, 1, 2), steps) for steps in product((1, -1), repeat=3)] + [
    (order, (1, -1, 1)) for order in permutations(range(3))
]


def test_every_order_and_direction_of_the_axes_is_the_same_image() -> None:
    image = brain(0)
    seen, details = spectrum(Volume(image, AFFINE)), detail(Volume(image, AFFINE))
    for axes, steps in TURNS:
        copy = Volume(image.transpose(axes)[tuple(slice(None, None, step) for step in steps)], AFFINE)
        alike, order = best_order(seen, spectrum(copy))
        assert alike > 0.95
        assert overlap_correlation(details, detail(copy), order) > 0.95


def test_other_patients_in_one_outline_are_other_images() -> None:
    volumes = [Volume(brain(seed), AFFINE) for seed in range(5)]
    for other in volumes[1:]:
        alike, details = compared(volumes[0], other)
        assert alike < LIKELY or details < SAME_IMAGE - 0.2


def test_bodies_of_one_outline_with_other_content_are_other_images() -> None:
    shape = (60, 56, 40)
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    bodies = []
    for seed in range(3):
        content = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 3)
        bodies.append(np.where(x**2 + y**2 < 0.7, 50 + 60 * content / content.std(), -1000).astype(np.float32))
    volumes = [Volume(body, np.diag([5.0, 5.0, 6.0, 1.0])) for body in bodies]
    alike, details = compared(volumes[0], volumes[1])
    assert alike > LIKELY  # the outline alone makes the spectra alike, so the details have to tell
    assert details < SAME_IMAGE - 0.2
    assert compared(volumes[2], Volume(bodies[2][3:], volumes[2].ras_from_voxel))[1] > SAME_IMAGE


@pytest.mark.parametrize("voxels", [np.zeros((9, 9, 9)), np.full((9, 9, 9), np.nan), np.full((3, 4, 5), 7)])
def test_constant_image_is_like_no_other(voxels: np.ndarray) -> None:
    flat = Volume(voxels, AFFINE)
    assert not spectrum(flat).any()
    assert compared(flat, Volume(brain(0), AFFINE)) == (0.0, 0.0)
    assert compared(flat, flat) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 40), (300, 20, 20), (2, 3, 4)])
def test_images_of_any_size_have_a_spectrum(shape: tuple[int, int, int]) -> None:
    image = Volume(np.random.default_rng(0).normal(size=shape), AFFINE)
    assert spectrum(image).shape == (4611,)
    assert np.isfinite(spectrum(image)).all()
    assert 0.0 <= overlap_correlation(detail(image), detail(image)) <= 1.0 + 1e-6


def test_short_spectra_do_not_depend_on_the_order_of_the_axes() -> None:
    image = brain(3)
    spectra = np.array([spectrum(Volume(image.transpose(order), AFFINE)) for order in permutations(range(3))])
    short = orderless(spectra)
    assert short.shape == (6, 886)
    np.testing.assert_allclose(short @ short[0], 1.0, atol=1e-3)


def test_order_of_axes_in_memory_does_not_matter() -> None:
    image = brain(3)
    first, second = (spectrum(Volume(copy, AFFINE)) for copy in (np.asfortranarray(image), np.ascontiguousarray(image)))
    assert first @ second > 0.9999


@pytest.fixture
def cases(tmp_path: Path) -> list[CaseEntry]:
    return [case(tmp_path, f"c{i}", Volume(brain(i), AFFINE), patient=f"p{i}") for i in range(4)]


def split(manifest: Manifest, *folds: tuple[str, ...], holdout: tuple[str, ...] = ()) -> Folds:
    return Folds(manifest_sha256=manifest.digest, seed=0, folds=folds, holdout=holdout)


def test_clean_folds_have_no_leak(cases: list[CaseEntry], tmp_path: Path) -> None:
    manifest = manifest_of(tmp_path, cases)
    folds = split(manifest, ("c0", "c1"), ("c2", "c3"))
    told: list[tuple[int, int, str]] = []
    assert find_leaks(manifest, folds, workers=2, progress=lambda *now: told.append(now)) == ()
    assert told[-1] == (4, 4, "comparing images")
    refuse_leaks(manifest, folds)


def test_patient_in_two_places_is_a_leak(cases: list[CaseEntry], tmp_path: Path) -> None:
    same = [replace(c, patient="p0") if c.name in {"c1", "c3"} else c for c in cases]
    manifest = manifest_of(tmp_path, same)
    found = find_leaks(manifest, split(manifest, ("c0", "c1"), ("c2",), holdout=("c3",)))
    assert [(leak.kind, leak.cases, leak.places) for leak in found] == [
        (LeakKind.PATIENT, ("c0", "c3"), ("fold 0", "holdout")),
        (LeakKind.PATIENT, ("c1", "c3"), ("fold 0", "holdout")),
    ]
    assert found[0].message == "'c0' (fold 0) and 'c3' (holdout) are of the same patient"


def test_same_file_under_another_name_is_a_leak(cases: list[CaseEntry], tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "c0", tmp_path / "z")
    copy = replace(
        cases[0],
        name="z",
        patient="z",
        images={"flair": replace(cases[0].images["t1"], path="z/t1.nii.gz"), "t1": cases[1].images["t1"]},
    )
    manifest = manifest_of(tmp_path, [*cases, copy])
    found = find_leaks(manifest, split(manifest, ("c0", "c1"), ("c2", "c3"), holdout=("z",)))
    assert [(leak.kind, leak.cases, leak.images) for leak in found] == [
        (LeakKind.FILE, ("c0", "z"), ("t1", "flair")),
        (LeakKind.FILE, ("c1", "z"), ("t1", "t1")),
    ]
    assert found[0].message == "'c0' (fold 0) and 'z' (holdout) have the same file (t1 and flair)"
    assert found[1].message.endswith("have the same file (t1)")


def test_image_saved_anew_under_another_name_is_a_leak(cases: list[CaseEntry], tmp_path: Path) -> None:
    turned = Volume(noisy(brain(2)).transpose(2, 0, 1)[:, ::-1] / 3, AFFINE)
    manifest = manifest_of(tmp_path, [*cases, case(tmp_path, "z", turned)])
    folds = split(manifest, ("c0", "c1", "z"), ("c2", "c3"))
    (leak,) = find_leaks(manifest, folds)
    assert (leak.kind, leak.cases, leak.places) == (LeakKind.IMAGE, ("c2", "z"), ("fold 1", "fold 0"))
    assert leak.correlation is not None
    assert SAME_IMAGE < leak.correlation <= 1
    assert f"have nearly the same image (t1, correlation {leak.correlation:.2f})" in leak.message
    with pytest.raises(
        DataLeak, match=r"1 leak between folds: 'c2' \(fold 1\) and 'z'.*make the folds again"
    ) as caught:
        refuse_leaks(manifest, folds)
    assert caught.value.leaks == (leak,)


@pytest.mark.parametrize("place", ["same fold", "unused", "same patient, same fold"])
def test_copy_that_is_on_no_other_side_is_no_leak(cases: list[CaseEntry], tmp_path: Path, place: str) -> None:
    patient = "p0" if "patient" in place else "z"
    manifest = manifest_of(tmp_path, [*cases, case(tmp_path, "z", Volume(brain(0) * 2, AFFINE), patient=patient)])
    first = ("c0", "c1") if place == "unused" else ("c0", "c1", "z")
    assert find_leaks(manifest, split(manifest, first, ("c2", "c3"))) == ()


def test_each_pair_is_told_once_by_its_surest_sign(tmp_path: Path) -> None:
    images = {key: Volume(brain(i), AFFINE) for i, key in enumerate(("t1", "t2"))}
    one = CaseEntry(name="a", patient="a", images={k: entry(tmp_path, f"a-{k}.nii", v) for k, v in images.items()})
    anew = {
        k: entry(tmp_path, f"b-{k}.nii", Volume(np.rint(v.voxels).astype(np.int16), AFFINE)) for k, v in images.items()
    }
    copies = CaseEntry(name="b", patient="b", images=anew)
    manifest = manifest_of(tmp_path, [one, copies])
    (leak,) = find_leaks(manifest, split(manifest, ("a",), ("b",)))
    assert (leak.kind, leak.images) in {(LeakKind.IMAGE, ("t1", "t1")), (LeakKind.IMAGE, ("t2", "t2"))}
    half = replace(copies, images={"t1": one.images["t1"], "t2": anew["t2"]})
    manifest = manifest_of(tmp_path, [one, half])
    assert [found.kind for found in find_leaks(manifest, split(manifest, ("a",), ("b",)))] == [LeakKind.FILE]


def test_volumes_of_one_file_are_compared_one_by_one(tmp_path: Path) -> None:
    import nibabel as nib  # noqa: PLC0415  # writes four axes

    def stacked(name: str, *seeds: int) -> CaseEntry:
        voxels = np.stack([brain(seed) for seed in seeds], -1)
        nib.save(nib.Nifti1Image(voxels, AFFINE), tmp_path / f"{name}.nii.gz")  # type: ignore[no-untyped-call]
        made = entry(tmp_path, "scratch.nii", Volume(brain(0), AFFINE))
        files = {
            k: replace(made, path=f"{name}.nii.gz", sha256=f"{seeds[0]}" * 64, index=i)
            for i, k in enumerate(("t1", "t2"))
        }
        return CaseEntry(name=name, patient=name, images=files)

    manifest = manifest_of(tmp_path, [stacked("a", 1, 2), stacked("b", 3, 1)])
    (leak,) = find_leaks(manifest, split(manifest, ("a",), ("b",)))
    assert leak.images == ("t1", "t2")
    assert "(t1 and t2, correlation 1.00)" in leak.message
    short = replace(stacked("c", 1, 2), images={"t1": replace(stacked("c", 1, 2).images["t1"], index=7)})
    manifest = manifest_of(tmp_path, [short, stacked("b", 3, 1)])
    with pytest.raises(DatasetError, match="number 7 is asked for"):
        find_leaks(manifest, split(manifest, ("b",), ("c",)))


def test_folds_of_another_data_set_are_not_looked_at(cases: list[CaseEntry], tmp_path: Path) -> None:
    folds = split(manifest_of(tmp_path, cases), ("c0", "c1"), ("c2", "c3"))
    with pytest.raises(FoldError, match="another data set"):
        find_leaks(manifest_of(tmp_path, cases[:3]), folds)


def test_many_leaks_are_told_in_short() -> None:
    leaks = tuple(Leak(kind=LeakKind.PATIENT, cases=(f"a{i}", f"b{i}"), places=("fold 0", "fold 1")) for i in range(5))
    assert str(DataLeak(leaks)).startswith("5 leaks between folds: 'a0'")
    assert "; and 2 more. " in str(DataLeak(leaks))


def test_thousands_of_images_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    from tds_data.curation import leaks  # noqa: PLC0415  # patched

    spectra = np.random.default_rng(0).normal(size=(40, 4611)).astype(np.float32)
    spectra /= np.linalg.norm(spectra, axis=1, keepdims=True)
    spectra[33] = spectra[7]
    whole = list(leaks._likely_pairs(spectra))
    monkeypatch.setattr(leaks, "_ROWS", 7)
    assert whole == list(leaks._likely_pairs(spectra)) == [(7, 33)]
    assert list(leaks._likely_pairs(spectra[:0])) == []


@pytest.mark.real_data
def test_real_patients_are_told_apart_and_their_copies_found(real_patients: list[Path], tmp_path: Path) -> None:
    cases = []
    for number, folder in enumerate(real_patients[:4]):
        for key in ("t1", "flair"):
            (tmp_path / f"{number}").mkdir(exist_ok=True)
            shutil.copy(folder / f"{folder.name}_{key}.nii.gz", tmp_path / f"{number}/{key}.nii.gz")
        files = {k: entry_of(tmp_path, f"{number}/{k}.nii.gz") for k in ("t1", "flair")}
        cases.append(CaseEntry(name=f"{number}", patient=f"{number}", images=files))
    manifest = manifest_of(tmp_path, cases)
    assert find_leaks(manifest, split(manifest, ("0", "1"), ("2", "3"))) == ()
    image = read_volume(tmp_path / "1/flair.nii.gz")
    smooth = ndimage.gaussian_filter(np.asarray(image.voxels, np.float32), 1)[20:-30, 25:, ::-1]
    write_volume(tmp_path / "copy.nii.gz", Volume(smooth / 700, np.eye(4)))
    copy = CaseEntry(name="z", patient="z", images={"t2": entry_of(tmp_path, "copy.nii.gz")})
    manifest = manifest_of(tmp_path, [*cases, copy])
    (leak,) = find_leaks(manifest, split(manifest, ("0", "1"), ("2", "3", "z")))
    assert (leak.cases, leak.images) == (("1", "z"), ("flair", "t2"))


def entry_of(root: Path, path: str) -> FileEntry:
    data = (root / path).read_bytes()
    return FileEntry(path=path, sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
