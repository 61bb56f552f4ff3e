import os
import sys
from pathlib import Path

import numpy as np
import pytest

from tds_core import Bundle, BundleIncompatible, DeviceUnavailable, Engine, open_engine
from tds_core._openvino import _process_cores


def test_unknown_device_is_refused_and_the_others_named(bundle: Bundle) -> None:
    with pytest.raises(DeviceUnavailable, match="no device 'tpu' for inference here; choose one of") as caught:
        open_engine(bundle.graph, device="tpu")
    assert caught.value.device == "tpu"
    assert {"cpu", "auto"} <= set(caught.value.available)
    assert isinstance(caught.value, RuntimeError)


def test_one_engine_takes_one_shape_after_another(engine: Engine) -> None:
    rng = np.random.default_rng(0)
    small = rng.normal(size=(1, 4, 16, 8, 24)).astype(np.float32)
    large = rng.normal(size=(1, 4, 24, 16, 8)).astype(np.float32)
    first = engine.infer(small)
    assert first.shape == (1, 3, 16, 8, 24)
    assert first.dtype == np.float32
    assert engine.infer(large).shape == (1, 3, 24, 16, 8)
    np.testing.assert_allclose(engine.infer(small), first, atol=1e-4)


def test_result_is_a_copy_that_the_next_call_leaves_alone(engine: Engine) -> None:
    zeros, ones = np.zeros((1, 4, 8, 8, 8), np.float32), np.ones((1, 4, 8, 8, 8), np.float32)
    first = engine.infer(zeros)
    kept = first.copy()
    assert not np.array_equal(engine.infer(ones), kept)
    np.testing.assert_array_equal(first, kept)


def test_number_of_threads_changes_no_more_than_rounding(bundle: Bundle, engine: Engine) -> None:
    tensor = np.random.default_rng(1).normal(size=(1, 4, 16, 16, 16)).astype(np.float32)
    single = open_engine(bundle.graph, threads=1).infer(tensor)
    np.testing.assert_allclose(single, engine.infer(tensor), atol=1e-3)


def test_automatic_device_runs(bundle: Bundle) -> None:
    logits = open_engine(bundle.graph, device="auto").infer(np.zeros((1, 4, 8, 8, 8), np.float32))
    assert np.isfinite(logits).all()


def test_wrong_number_of_channels_is_an_error_not_a_mask(engine: Engine) -> None:
    with pytest.raises(BundleIncompatible, match=r"does not take an input of shape \(1, 3, 16, 16, 16\)"):
        engine.infer(np.zeros((1, 3, 16, 16, 16), np.float32))


def test_file_that_is_no_graph_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(BundleIncompatible, match=r"OpenVINO cannot read model\.onnx: (?!Exception from)\w"):
        open_engine(path)


def test_cores_are_those_of_the_process_on_linux_and_of_the_machine_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        assert _process_cores() == len(os.sched_getaffinity(0))
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert _process_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _process_cores() == 1
