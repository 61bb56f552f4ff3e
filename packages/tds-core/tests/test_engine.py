from dataclasses import replace
from pathlib import Path

import pytest

from tds_core import Bundle, DeviceUnavailable, Ensemble, open_model
from tds_core.bundle import Member


def test_bundle_with_one_network_is_run_by_an_engine_that_is_ready(bundle: Bundle) -> None:
    assert not isinstance(open_model(bundle, threads=1), Ensemble)


def test_members_of_an_ensemble_are_opened_one_by_one(bundle: Bundle) -> None:
    members = (Member(graph="model.onnx", share=0.75), Member(graph="model-2.onnx", share=0.25))
    ensemble = open_model(replace(bundle, use=replace(bundle.use, members=members)), device="tpu", threads=1)
    assert isinstance(ensemble, Ensemble)
    assert [path.name for path in ensemble.graphs] == ["model.onnx", "model-2.onnx"]
    openers = list(ensemble.members())
    assert [share for _, share in openers] == [0.75, 0.25]
    with pytest.raises(DeviceUnavailable):
        openers[0][0]()


def test_graph_of_a_bundle_is_its_first_member(bundle: Bundle) -> None:
    assert bundle.graph == Path(bundle.folder) / "model.onnx"
