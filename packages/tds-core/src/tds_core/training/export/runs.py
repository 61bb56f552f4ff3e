"""Bundles of runs of `tds train`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from torch import nn

from tds_core.bundle import NetworkUse, PostprocessConfig
from tds_core.errors import ConfigError, TrainingError
from tds_core.training.config import TrainingConfig, load_config, to_document
from tds_core.training.distributed import World
from tds_core.training.export.choosing import load_chosen
from tds_core.training.export.facts import TrainingFacts, code_versions, read_facts
from tds_core.training.export.packing import BundleContent, PackedBundle, pack_bundle
from tds_core.training.models import build_network, model_facts
from tds_core.training.validation.plan import spacing_mm, window_plan
from tds_data.preprocess import PreprocessConfig
from tds_data.vocabulary import Modality

_CONFIG_NAME: Final = "config.yaml"
_INSIDE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleNaming:
    """What a bundle is called, where that differs from what the run's configuration says.

    Attributes:
        name: Of the bundle.
        version: Of the bundle.
        licence: SPDX identifier of the weights' licence.
    """

    name: str | None = None
    version: str | None = None
    licence: str | None = None


def export_run(run: Path, target: Path, *, naming: BundleNaming | None = None) -> PackedBundle:
    """Return the bundle of a run folder, of the weights that its configuration asks for in `bundle.weights`.

    Args:
        run: A folder of `tds train`.
        target: Folder to make.
        naming: What to call it.

    Raises:
        ConfigError: If the folder is no run, or that of an architecture search.
        CheckpointDamaged: If there is no whole checkpoint.
        CheckpointMismatch: If the checkpoint is of another network.
        TrainingError: If the run's record cannot be read, or the network cannot be exported.
        VolumeWriteError: If the target holds something or cannot be written (from tds_data).
    """
    from tds_core.training.run.learning import is_search, supervised_learner  # noqa: PLC0415  # a run ends with its export

    if not (run / _CONFIG_NAME).is_file():
        message = f"there is no run of tds train at {str(run)!r}: it has no {_CONFIG_NAME}"
        raise ConfigError(message)
    config = load_config(run / _CONFIG_NAME)
    if is_search(config):
        message = f"{run.name!r} is a search over networks, not a model; train and export the network that it found"
        raise ConfigError(message)
    learner = supervised_learner(config, _new_network(config), World())
    chosen = load_chosen(run, config, learner)
    facts = read_facts(run, step=chosen.step, which=chosen.which)
    return export_bundle(learner.evaluated, config, target, facts=facts, naming=naming)


def export_bundle(
    network: nn.Module,
    config: TrainingConfig,
    target: Path,
    *,
    facts: TrainingFacts,
    naming: BundleNaming | None = None,
) -> PackedBundle:
    """Return the bundle of a trained network.

    Args:
        network: The weights to export, such as a learner's `evaluated`.
        config: Resolved: patch and spacing are known.
        target: Folder to make.
        facts: How the weights came to be.
        naming: What to call it.

    Raises:
        ConfigError: If patch or spacing are not known.
        TrainingError: If the network cannot be exported, or its graph gives something else.
        VolumeWriteError: If the target holds something or cannot be written (from tds_data).
    """
    named = naming or BundleNaming()
    task = config.goal
    use = NetworkUse(task=task, heads=str(config.network.heads), windows=window_plan(config))
    preprocess = PreprocessConfig(spacing_mm=spacing_mm(config), clip=config.data.clip)
    if use.is_brain_tumour:
        preprocess = replace(preprocess, modalities=tuple(Modality(c) for c in task.channels))
    about = model_facts(config.network.name)
    content = BundleContent(
        use=use,
        preprocess=preprocess,
        postprocess=PostprocessConfig(
            thresholds={r: config.inference.thresholds.get(r, _INSIDE) for r in task.regions},
            min_lesion_ml=config.inference.min_lesion_ml,
            mirror=config.inference.mirror,
        ),
        name=named.name or config.bundle.name or config.name,
        version=named.version or config.bundle.version,
        licence=named.licence or config.bundle.licence,
        architecture={
            "name": about.name,
            "options": to_document(config)["network"]["options"],
            "deep_supervision": config.network.deep_supervision,
            "patch": list(config.sampling.patch or ()),
            "paper": about.paper,
        },
        provenance=_provenance(config, facts),
    )
    return pack_bundle(network, content, target)


def without_paths(config: TrainingConfig) -> dict[str, Any]:
    """Return a configuration as plain values whose paths are cut to their names: where they lay is nobody's business.

    Args:
        config: Any.
    """
    document = to_document(config)
    data = document["data"]
    for place, key in (
        *((source, "path") for source in data["datasets"]),
        (data["split"], "file"),
        (data, "cache"),
        (document["network"], "weights"),
        (document, "plan"),
    ):
        place[key] = None if place[key] is None else Path(place[key]).name
    document["tracking"]["mlflow_uri"] = None
    return document


def _new_network(config: TrainingConfig) -> nn.Module:
    patch = config.sampling.patch
    if patch is None:
        message = f"{_CONFIG_NAME} of the run has no patch; it was not resolved"
        raise TrainingError(message)
    return build_network(
        config.network, in_channels=len(config.goal.channels), out_channels=config.output_channels, patch=patch
    )


def _provenance(config: TrainingConfig, facts: TrainingFacts) -> Mapping[str, Any]:
    cases = [{"case": c.case, "phantom": c.phantom, "dice": dict(c.dice)} for c in facts.validation]
    return {
        "origin": "training",
        "data": [asdict(dataset) for dataset in facts.datasets],
        "data_sha256": facts.data_sha256,
        "phantoms": facts.phantoms,
        "steps": facts.steps,
        "weights": facts.which,
        "validation": {"chosen": facts.chosen_by_validation, "cases": cases} if cases else None,
        "config": without_paths(config),
        "plan": None if facts.plan is None else dict(facts.plan),
        "versions": code_versions(),
    }
