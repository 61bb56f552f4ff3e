from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra train is not installed")
pytest.importorskip("monai")
pytest.importorskip("onnx")

from tds_cli import training_told
from tds_core.evaluation.summary import ScoredCase
from tds_core.training.engine import RunOutcome
from tds_core.training.export import PackedBundle
from tds_core.training.run import RunSummary

OUTCOME = RunOutcome(status="finished", step=4, best_score=0.5, best_step=2, reason="all 4 steps are done")
BUNDLE = PackedBundle(folder=Path("RUN/bundle"), sha256="ab" * 32, notes=("weights are stored in float32",))


def scored(case: str, dice: float, *, phantom: bool = False) -> ScoredCase:
    return ScoredCase(case=case, phantom=phantom, values={"liver": {"dice": dice}})


def test_means_of_patients_and_phantoms_are_apart(capsys: pytest.CaptureFixture[str]) -> None:
    scores = (scored("a", 0.5), scored("b", 0.7), scored("p", 0.9, phantom=True))
    summary = RunSummary(folder=Path("RUN"), outcome=OUTCOME, bundle=BUNDLE, scores=scores, for_studies=False)
    training_told.say({"": summary})
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(maxsplit=1) for line in lines[2:7]] == [
        ["a", "0.500"],
        ["b", "0.700"],
        ["p (PHANTOM)", "0.900"],
        ["mean of 2 patients", "0.600"],
        ["mean of 1 PHANTOMS", "0.900"],
    ]
    assert "note: weights are stored in float32" in lines
    assert f"the model is in RUN/bundle; its SHA-256 is {'ab' * 32}" in lines
    assert not any("tds segment" in line for line in lines)
    assert lines[-1] == "Research use only."


def test_cases_without_a_score_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    summary = RunSummary(folder=Path("RUN"), outcome=OUTCOME, scores=(scored("a", 0.5),), unscored={"b": "refused"})
    training_told.say({"": summary})
    assert "no score for b: refused" in capsys.readouterr().out
    assert training_told.document(Path("RUN"), {"": summary})["runs"][0]["unscored"] == {"b": "refused"}


def test_architecture_of_a_search_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    summary = RunSummary(folder=Path("RUN"), outcome=OUTCOME, architecture=Path("RUN/architecture.yaml"), phantom=True)
    training_told.say({"": summary})
    out = capsys.readouterr().out
    assert "the architecture is in RUN/architecture.yaml" in out
    assert "PHANTOM: every case is made up" in out
    document = training_told.document(Path("RUN"), {"": summary})
    assert document["runs"][0]["architecture"] == "RUN/architecture.yaml"
    assert document["runs"][0]["bundle"] is None
