import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tds_core import ConfigError, TrainingError, load_bundle, open_model, verify_golden
from tds_core.errors import CheckpointDamaged
from tds_core.training.config import BundleConfig, LengthConfig, TrainingConfig, parse, to_document
from tds_core.training.distributed import World
from tds_core.training.engine import CHECKPOINT_FOLDER, CheckpointStore
from tds_core.training.engine.matching import shapes
from tds_core.training.export import BundleNaming, export_run, read_facts, read_weights, round_to_half
from tds_core.training.export.choosing import load_chosen
from tds_core.training.run.learning import supervised_learner

RECORD = {
    "digest": "ab" * 32,
    "datasets": [
        {
            "label": "",
            "layout": "brats",
            "manifest_sha256": "cd" * 32,
            "licence": "CC0-1.0",
            "phantoms": 1,
            "training": ["a", "b"],
            "validation": ["c"],
        }
    ],
}


def metrics(step: int, dice: float) -> dict[str, object]:
    regions = dict.fromkeys(("WT", "TC", "ET"), dice)
    return {"step": step, "score": dice, "dice": regions, "cases": [{"case": "c", "phantom": False, "dice": regions}]}


def write_run(
    folder: Path, making: Any, *, best_step: int | None = 5, which: str = "best", length: LengthConfig | None = None
) -> dict[int, Any]:
    """Write the folder of a run with checkpoints of steps 5 and 10, and return the averaged weights of each."""
    config = replace(making.config(), bundle=BundleConfig(weights=which), length=length or LengthConfig())
    folder.mkdir()
    text = yaml.safe_dump(to_document(config))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    (folder / "data.json").write_text(json.dumps(RECORD), encoding="utf-8")
    (folder / "plan.yaml").write_text("reasons:\n- it fits\n", encoding="utf-8")
    lines = [{"step": 5, "loss": 1.0}, metrics(5, 0.5), metrics(10, 0.25)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 1', encoding="utf-8")
    store = CheckpointStore(folder / CHECKPOINT_FOLDER)
    weights = {}
    for step in (5, 10):
        learner = supervised_learner(config, making.network(config, seed=step), World())
        weights[step] = {k: v.clone() for k, v in learner.evaluated.state_dict().items()}
        state = {
            "learner": learner.state_dict(),
            "network": shapes(learner.network),
            "stopping": {"best_step": best_step, "bad": 1},
        }
        store.save(state, step=step, best_step=best_step)
    return weights


def test_best_weights_of_a_run_become_a_bundle(tmp_path: Path, making: Any) -> None:
    weights = write_run(tmp_path / "run", making)
    naming = BundleNaming(name="mine", version="3", licence="MIT")
    packed = export_run(tmp_path / "run", tmp_path / "bundle", naming=naming)
    bundle = load_bundle(packed.folder, trusted=[packed.sha256])
    verify_golden(bundle, open_model(bundle))
    network = making.network(making.config())
    network.load_state_dict(weights[5])
    expected = round_to_half(network).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in read_weights(packed.folder).items())
    assert (bundle.identity.name, bundle.identity.version, bundle.identity.licence) == ("mine", "3", "MIT")
    provenance: Any = bundle.description["provenance"]
    assert (provenance["steps"], provenance["weights"]) == (5, "best")
    assert "5 optimiser steps: of all the weights that were validated" in (packed.folder / "MODEL_CARD.md").read_text()
    assert provenance["plan"] == {"reasons": ["it fits"]}
    assert provenance["phantoms"] == "some"
    assert provenance["data_sha256"] == RECORD["digest"]
    assert provenance["data"][0]["name"] == "dataset-1"
    assert provenance["validation"]["chosen"]
    assert provenance["validation"]["cases"][0]["dice"]["WT"] == 0.5


@pytest.mark.parametrize(
    ("which", "best_step", "patience", "epochs", "step"),
    [
        ("last", 5, 1, 20, 10),
        ("best", 5, None, 20, 5),
        ("best", None, None, 20, 10),  # nothing was validated
        ("auto", 5, 1, 20, 5),  # it ended early, by its score
        ("auto", 5, None, 20, 10),  # it was stopped
        ("auto", 5, 2, 20, 10),  # as well
        ("auto", 5, 1, 1, 10),  # it went all the way
    ],
)
def test_weights_that_are_asked_for_are_exported(
    which: str, best_step: int | None, patience: int | None, epochs: int, step: int, tmp_path: Path, making: Any
) -> None:
    length = LengthConfig(epochs=epochs, patience=patience)
    weights = write_run(tmp_path / "run", making, best_step=best_step, which=which, length=length)
    document = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    document["sampling"]["steps_per_epoch"] = 10
    config = parse(TrainingConfig, document)
    learner = supervised_learner(config, making.network(config), World())
    chosen = load_chosen(tmp_path / "run", config, learner)
    assert chosen.step == step
    assert chosen.which == ("best" if step == 5 else "last")
    assert all(torch.equal(tensor, weights[step][name]) for name, tensor in learner.evaluated.state_dict().items())


def test_last_weights_are_not_flattered(tmp_path: Path, making: Any) -> None:
    write_run(tmp_path / "run", making, which="last")
    packed = export_run(tmp_path / "run", tmp_path / "bundle")
    provenance: Any = load_bundle(packed.folder, trusted=[packed.sha256]).description["provenance"]
    assert (provenance["steps"], provenance["weights"], provenance["validation"]["chosen"]) == (10, "last", False)
    card = (packed.folder / "MODEL_CARD.md").read_text()
    assert "10 optimiser steps: the weights that the run ended with." in card
    assert "which flatters them" not in card


def test_facts_of_the_last_step_are_those_of_its_validation(tmp_path: Path, making: Any) -> None:
    write_run(tmp_path / "run", making, best_step=None)
    facts = read_facts(tmp_path / "run", step=10, which="best")
    assert facts.validation[0].dice["WT"] == 0.25
    assert facts.chosen_by_validation
    assert read_facts(tmp_path / "run", step=7, which="last").validation == ()
    (tmp_path / "run" / "plan.yaml").unlink()
    (tmp_path / "run" / "metrics.jsonl").unlink()
    facts = read_facts(tmp_path / "run", step=10, which="last")
    assert (facts.plan, facts.validation) == (None, ())


def test_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no run of tds train"):
        export_run(tmp_path, tmp_path / "bundle")


def test_search_over_networks_is_no_model(tmp_path: Path, making: Any) -> None:
    write_run(tmp_path / "run", making)
    document = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text(encoding="utf-8"))
    document["network"] = {"name": "dints_search"}
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(ConfigError, match="is a search over networks, not a model"):
        export_run(tmp_path / "run", tmp_path / "bundle")


def test_run_without_a_checkpoint_or_record_is_refused(tmp_path: Path, making: Any) -> None:
    run = tmp_path / "run"
    write_run(run, making)
    (run / "data.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"data\.json of the run 'run' cannot be read"):
        export_run(run, tmp_path / "bundle")
    for path in (run / CHECKPOINT_FOLDER).glob("*.pt"):
        path.unlink()
    with pytest.raises(CheckpointDamaged, match="there is no checkpoint"):
        export_run(run, tmp_path / "bundle")


def test_run_that_was_not_resolved_is_refused(tmp_path: Path, making: Any) -> None:
    run = tmp_path / "run"
    write_run(run, making)
    document = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    document["sampling"]["patch"] = None
    (run / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(TrainingError, match="has no patch"):
        export_run(run, tmp_path / "bundle")
