from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tds_core import BundleIncompatible, Ensemble, predict
from tds_core.bundle import NetworkUse
from tds_core.windows import WindowPlan
from tds_data.task import BRAIN_TUMOUR, LIVER_TUMOUR, Task

Floats = NDArray[np.float32]


class Pointwise:
    """Sees one voxel at a time, so that windows change nothing; remembers what it was shown."""

    def __init__(self, see: Callable[[Floats], Floats]) -> None:
        self._see = see
        self.shown: list[Floats] = []

    def infer(self, tensor: Floats) -> Floats:
        self.shown.append(tensor.copy())
        return self._see(tensor)


def first_three(tensor: Floats) -> Floats:
    return tensor[:, :3] * np.float32(2)


@pytest.fixture
def tensor() -> Floats:
    return np.random.default_rng(0).normal(size=(4, 21, 17, 9)).astype(np.float32)


def sigmoid(values: Floats) -> Floats:
    return (1 / (1 + np.exp(-values))).astype(np.float32)


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_windows_give_what_the_whole_image_gives_for_one_voxel(
    tensor: Floats, overlap: float, *, gaussian: bool
) -> None:
    plan = WindowPlan(patch=(8, 8, 8), overlap=overlap, gaussian=gaussian)
    engine = Pointwise(first_three)
    found = predict(engine, tensor, (1,), use=NetworkUse(windows=plan))
    np.testing.assert_allclose(found, sigmoid(2 * tensor[:3]), atol=1e-5)
    assert {image.shape for image in engine.shown} == {(1, 4, 8, 8, 8)}
    assert len(engine.shown) == 2 * (5 * 4 * 2 if overlap else 3 * 3 * 2)


def test_without_a_bundle_images_go_through_whole_and_padded(tensor: Floats) -> None:
    engine = Pointwise(first_three)
    np.testing.assert_allclose(predict(engine, tensor), sigmoid(2 * tensor[:3]), atol=1e-6)
    assert [image.shape for image in engine.shown] == [(1, 4, 24, 24, 16)]


def test_softmax_heads_add_up_the_labels_of_a_region() -> None:
    rng = np.random.default_rng(1)
    tensor = rng.normal(size=(1, 8, 8, 8)).astype(np.float32)
    engine = Pointwise(lambda image: np.concatenate([image * 0, image, image * 90], axis=1))
    found = predict(engine, tensor, use=NetworkUse(task=LIVER_TUMOUR, heads="classes"))
    exact = np.concatenate([tensor * 0, tensor, tensor * 90]).astype(np.float64)
    exact = np.exp(exact - exact.max(axis=0))
    exact /= exact.sum(axis=0)
    np.testing.assert_allclose(found, [exact[1] + exact[2], exact[2]], atol=1e-6)


def test_surroundings_of_a_channel_with_a_window_are_its_lowest_value() -> None:
    task = Task(name="both", channels=("ct", "mr"), labels=("a",), regions={"a": (1,)}, windows={"ct": (-200.0, 300.0)})
    engine = Pointwise(lambda image: image[:, :1])
    predict(engine, np.ones((2, 5, 8, 8), np.float32), use=NetworkUse(task=task))
    assert engine.shown[0][0, :, 7, 0, 0].tolist() == [-1.0, 0.0]


def test_network_that_learned_on_turned_images_is_shown_turned_ones(tensor: Floats) -> None:
    engine = Pointwise(lambda image: image[:, :3] * np.linspace(0, 1, 24, dtype=np.float32)[:, None, None])
    plain = predict(engine, tensor)
    turned = predict(engine, tensor[:, ::-1], use=NetworkUse(reversed_axes=(0,)))
    shift = 24 - tensor.shape[1]  # what is padded at the end lies at the other side of a turned image
    assert shift == 3
    np.testing.assert_allclose(turned[:, ::-1], plain)


def test_members_are_averaged_by_share(tensor: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    high, low = (Pointwise(lambda image, value=v: np.full_like(image[:, :3], value)) for v in (50.0, -50.0))
    members = iter([(lambda: high, 0.75), (lambda: low, 0.25)])
    monkeypatch.setattr(Ensemble, "members", lambda _: members)
    found = predict(Ensemble(graphs=(), shares=()), tensor, (0, 2))
    np.testing.assert_allclose(found, 0.75)
    assert (len(high.shown), len(low.shown)) == (4, 4)


def test_tensor_with_other_channels_is_refused(tensor: Floats) -> None:
    with pytest.raises(BundleIncompatible, match=r"takes 4 channels \(t1, t1ce, t2, flair\); 2 were given"):
        predict(Pointwise(first_three), tensor[:2])


@pytest.mark.parametrize("see", [lambda image: image, lambda image: image[:, :3, 1:]])
def test_network_that_gives_something_else_is_refused(tensor: Floats, see: Callable[[Floats], Floats]) -> None:
    with pytest.raises(BundleIncompatible, match="its bundle says that it has 3 outputs of the same size"):
        predict(Pointwise(see), tensor)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"channels": ("flair", "t1")}, True),
        ({"channels": ("flair", "adc")}, False),
        ({"regions": dict(reversed(BRAIN_TUMOUR.regions.items()))}, True),
        ({"regions": {"WT": (1, 2, 3)}}, False),
        ({"labels": ("a", "b", "c")}, False),
    ],
)
def test_brain_tumours_are_known_by_what_goes_in_and_comes_out(
    change: dict[str, object],
    expected: bool,  # noqa: FBT001  # from the table
) -> None:
    plain = {"name": "mine", "channels": BRAIN_TUMOUR.channels, "labels": BRAIN_TUMOUR.labels}
    task = Task(**{**plain, "regions": BRAIN_TUMOUR.regions, **change})  # type: ignore[arg-type]  # from the table
    assert NetworkUse(task=task).is_brain_tumour is expected


def test_outputs_are_regions_or_background_and_labels() -> None:
    assert NetworkUse().outputs == 3
    assert replace(NetworkUse(), task=LIVER_TUMOUR, heads="classes").outputs == 3
    assert replace(NetworkUse(), task=LIVER_TUMOUR).outputs == 2
