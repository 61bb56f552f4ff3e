import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tds_data import MissingDependency, VolumeWriteError
from tds_data.raw import _networks
from tds_data.raw._networks import cached_model, compiled

openvino = pytest.importorskip("openvino")


class Factory:
    """Makes a model that doubles its input, and counts."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self) -> object:
        self.made += 1
        ops = openvino.opset13
        tensor = ops.parameter([-1, -1], openvino.Type.f32, name="x")
        weights = ops.constant(np.full((1, 1), 2.0, np.float32))
        return openvino.Model([ops.multiply(tensor, weights)], [tensor], "double")


@pytest.fixture
def factory() -> Factory:
    return Factory()


def answer(model: object) -> np.ndarray:
    return compiled(model, (2, 3))(np.ones((2, 3), np.float32))


def only_folder(cache: Path) -> Path:
    (folder,) = cache.iterdir()
    return folder


def test_a_network_is_converted_once(factory: Factory, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "cache"
    for _ in range(3):
        assert np.array_equal(answer(cached_model(cache, "double", factory)), np.full((2, 3), 2.0))
    assert factory.made == 1
    assert only_folder(cache).name.startswith(f"double-openvino-{openvino.__version__.split('-')[0]}")
    assert sorted(p.name for p in only_folder(cache).iterdir()) == ["model.bin", "model.xml", "sha256.json"]


def test_another_release_of_openvino_converts_again(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached_model(tmp_path, "double", factory)
    monkeypatch.setattr(openvino, "__version__", "1999.1.0-build")
    cached_model(tmp_path, "double", factory)
    assert factory.made == 2
    assert (tmp_path / "double-openvino-1999.1.0").is_dir()


def cut(folder: Path) -> None:
    file = folder / "model.bin"
    file.write_bytes(file.read_bytes()[:-1])


def alter(folder: Path) -> None:
    file = folder / "model.xml"
    file.write_text(file.read_text().replace("Multiply", "Add"))


def lose(folder: Path) -> None:
    (folder / "model.xml").unlink()


def garble(folder: Path) -> None:
    (folder / "sha256.json").write_text("{not json")


@pytest.mark.parametrize("damage", [cut, alter, lose, garble])
def test_a_damaged_network_is_converted_again(
    damage: Callable[[Path], None], factory: Factory, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached_model(tmp_path, "double", factory)
    damage(only_folder(tmp_path))
    assert np.array_equal(answer(cached_model(tmp_path, "double", factory)), np.full((2, 3), 2.0))
    assert factory.made == 2
    assert "cached_network_damaged" in caplog.text
    assert len(list(tmp_path.iterdir())) == 1


def test_without_a_cache_nothing_is_kept(factory: Factory) -> None:
    assert answer(cached_model(None, "double", factory))[0, 0] == 2
    assert factory.made == 1


def test_a_cache_that_cannot_be_written_to_is_named(factory: Factory, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(VolumeWriteError, match="choose another cache folder"):
        cached_model(tmp_path / "file", "double", factory)


def test_the_network_that_another_process_kept_meanwhile_is_used(
    factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beaten(self: Path, target: Path) -> None:
        monkeypatch.undo()
        cached_model(tmp_path, "double", factory)
        assert self.is_dir()
        assert target.is_dir()
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(Path, "rename", beaten)
    assert answer(cached_model(tmp_path, "double", factory))[0, 0] == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, factory: Factory) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingDependency, match=r"tds-data\[strip\]"):
        cached_model(None, "double", factory)


def test_other_systems_count_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_networks.sys, "platform", "darwin")
    assert _networks._process_cores() >= 1
