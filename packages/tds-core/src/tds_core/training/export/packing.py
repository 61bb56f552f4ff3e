"""The files of a bundle: weights, graph, description, card, golden case and manifest, checked before they are there."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray
from torch import nn

from tds_core.bundle import (
    CARD_NAME,
    DEFAULT_BUNDLE,
    DESCRIPTION_NAME,
    FORMATS,
    GOLDEN_NAME,
    Bundle,
    load_bundle,
    write_manifest,
)
from tds_core.description import NetworkUse, PostprocessConfig, describe_use, orientation
from tds_core.engine import open_model
from tds_core.errors import TrainingError
from tds_core.golden import golden_hash, golden_probabilities, packed_probabilities, run_golden
from tds_core.training.export.card import card_text
from tds_core.training.export.golden_input import GOLDEN_SCALE, GoldenInput, make_golden_input
from tds_core.training.export.network_files import GraphSpec, finite_copy, round_to_half, write_network
from tds_core.training.export.probing import probe_network
from tds_data.atomic import atomic_folder
from tds_data.preprocess import PreprocessConfig
from tds_data.report import RESEARCH_USE_NOTICE

FAITHFUL: Final = 0.005
"""Weights are stored as halves if no probability of the golden case moves further than this."""

_SAME: Final = 1e-3
"""Graph and network give the same if no probability of the golden case differs by more than this."""

_FREE_EDGES: Final = (3, 4, 5)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BundleContent:
    """Everything that a bundle says of its networks.

    Attributes:
        use: How they are run; what that takes is measured when a network is packed.
        preprocess: How cases become tensors.
        postprocess: How probabilities become masks.
        name: Of the bundle.
        version: Of the bundle.
        licence: SPDX expression of the weights' licence.
        architecture: `name` of the network family, and its options.
        provenance: Where the weights come from, in plain YAML values.
    """

    use: NetworkUse
    preprocess: PreprocessConfig
    postprocess: PostprocessConfig
    name: str
    version: str
    licence: str
    architecture: Mapping[str, Any]
    provenance: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedBundle:
    """A bundle that was made and tried.

    Attributes:
        folder: Where it is.
        sha256: Its identity: what `--trust` takes.
        notes: What somebody should know, for people.
    """

    folder: Path
    sha256: str
    notes: tuple[str, ...] = field(default=())


def pack_bundle(network: nn.Module, content: BundleContent, target: Path) -> PackedBundle:
    """Write a bundle, whole or not at all.

    Args:
        network: Maps (batch, channel, x, y, z) to logits (batch, output, x, y, z).
        content: What the bundle says of it.
        target: Folder to make.

    Raises:
        TrainingError: If the weights are not finite, or the graph does not give what the network gives.
        VolumeWriteError: If the folder holds something or cannot be written (from tds_data).
    """
    golden = make_golden_input(content.use, content.preprocess)
    precision = _choose_precision(network, golden, content.use)
    stored = precision.network
    use = replace(content.use, bytes_per_voxel=precision.bytes_per_voxel, weight_bytes=_weight_bytes(stored))
    expected, notes = precision.probabilities, precision.notes
    with atomic_folder(target) as folder:
        fixed = _write_network(folder, stored, use, half=precision.half)
        if fixed is not None:
            use, notes = fixed, (*notes, f"the graph takes windows of {fixed.windows.patch} voxels only")
            golden = make_golden_input(use, content.preprocess)
            expected = probe_network(stored, golden.tensor, use).probabilities
        document = describe(replace(content, use=use), precision.told)
        sha256 = finish(folder, document, golden, expected=expected)
    return PackedBundle(folder=target, sha256=sha256, notes=notes)


def describe(content: BundleContent, precision: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `bundle.yaml`, but for the golden case.

    Args:
        content: What is packed.
        precision: How weights are stored.
    """
    before, after = content.preprocess, content.postprocess
    task, edges = content.use.task, before.voxel_mm
    windowed = ", ".join(task.windows)
    rest = f"z-score over the foreground of each {'other ' if windowed else ''}channel"
    return {
        "format": FORMATS[-1],
        "name": content.name,
        "version": content.version,
        "title": f"{task.name}: {', '.join(task.regions)} from {', '.join(task.channels)}",
        "intended_use": RESEARCH_USE_NOTICE,
        **describe_use(content.use),
        **_codes(content.use),
        "preprocessing": {
            "spacing_mm": edges[0] if len(set(edges)) == 1 else list(edges),
            "clip": before.clip if math.isfinite(before.clip) else None,
            "interpolation": str(before.interpolation),
            "orientation": orientation(content.use),
            "normalisation": f"{windowed} cut to its window; {rest}" if windowed else rest,
        },
        "postprocessing": {
            "thresholds": dict(after.thresholds),
            "min_lesion_ml": after.min_lesion_ml,
            "mirror": list(after.mirror),
        },
        "calibration": None,
        "licence": content.licence,
        "architecture": dict(content.architecture),
        "precision": dict(precision),
        "provenance": dict(content.provenance),
    }


def finish(
    folder: Path, document: dict[str, Any], golden: GoldenInput, *, expected: NDArray[np.float32] | None = None
) -> str:
    """Write description, card, golden case and manifest beside graph and weights, and return the bundle's identity.

    Args:
        folder: Holds graphs and weights.
        document: Content of `bundle.yaml`, but for the golden case.
        golden: What the model is shown.
        expected: Probabilities that it must give.

    Raises:
        TrainingError: If it gives others.
    """
    (folder / CARD_NAME).write_text(card_text(document), encoding="utf-8")
    everywhere = np.ones(golden.image.shape[1:], bool)
    np.savez_compressed(folder / GOLDEN_NAME, image=golden.image, scale=np.float64(GOLDEN_SCALE), sure=everywhere)
    document["golden"] = {"sha256": "", "source": golden.source, "seed": golden.seed}
    draft = _load(folder, document)
    engine = open_model(draft)
    found = golden_probabilities(draft, engine, golden.image, GOLDEN_SCALE)
    _check(found, expected)
    labels, sure = run_golden(draft, engine, golden.image, GOLDEN_SCALE)
    document["golden"]["sha256"] = golden_hash(labels, sure)
    np.savez_compressed(
        folder / GOLDEN_NAME,
        image=golden.image,
        scale=np.float64(GOLDEN_SCALE),
        sure=sure,
        probabilities=packed_probabilities(found),
    )
    return _load(folder, document).identity.sha256


def _load(folder: Path, document: Mapping[str, Any]) -> Bundle:
    text = yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True, width=120)
    (folder / DESCRIPTION_NAME).write_text(text, encoding="utf-8")
    return load_bundle(folder, trusted=[write_manifest(folder, version=FORMATS[-1])])


def _check(found: NDArray[np.float32], expected: NDArray[np.float32] | None) -> None:
    if not np.isfinite(found).all():
        message = "the exported model gives values that are not finite for its golden case; the run diverged"
        raise TrainingError(message)
    if expected is None:
        return
    furthest = float(np.abs(found - expected).max())
    if furthest > _SAME:
        message = (
            f"the exported graph differs from the network by up to {furthest:.4f} in a probability of the golden case; "
            "it is not written"
        )
        raise TrainingError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Precision:
    """How weights are stored: the network with what is stored, what it gives and takes, and what to say of it."""

    half: bool
    network: nn.Module
    probabilities: NDArray[np.float32]
    bytes_per_voxel: int
    told: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def _choose_precision(network: nn.Module, golden: GoldenInput, use: NetworkUse) -> _Precision:
    exact = finite_copy(network)
    probe = probe_network(exact, golden.tensor, use)
    try:
        rounded = round_to_half(network)
    except TrainingError as error:
        reason = str(error)
    else:
        halves = probe_network(rounded, golden.tensor, use)
        furthest = float(np.abs(halves.probabilities - probe.probabilities).max())
        if furthest <= FAITHFUL:
            return _Precision(
                half=True,
                network=rounded,
                probabilities=halves.probabilities,
                bytes_per_voxel=probe.bytes_per_voxel,
                told={"weights": "float16", "largest_difference": round(furthest, 6)},
            )
        reason = f"halves move a probability of the golden case by {furthest:.4f}"
    return _Precision(
        half=False,
        network=exact,
        probabilities=probe.probabilities,
        bytes_per_voxel=probe.bytes_per_voxel,
        told={"weights": "float32", "reason": reason},
        notes=(f"weights are stored in float32: {reason}",),
    )


def _write_network(folder: Path, network: nn.Module, use: NetworkUse, *, half: bool) -> NetworkUse | None:
    """Write weights and a graph for any size; if that cannot be, one for the patch, and return how it is run then."""
    plan, channels = use.windows, len(use.task.channels)
    if not plan.fixed:
        spec = GraphSpec(channels=channels, example=_free_example(plan.multiple))
        try:
            write_network(folder, network, spec, half=half)
        except TrainingError as error:
            if plan.patch is None:
                raise
            logger.warning("graph_of_fixed_size reason=%s", error)
        else:
            return None
    write_network(folder, network, GraphSpec(channels=channels, example=plan.patch or (0, 0, 0), fixed=True), half=half)
    return None if plan.fixed else replace(use, windows=replace(plan, fixed=True, whole_voxels=0))


def _free_example(multiple: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a size whose edges differ: equal ones would be taken for one and the same."""
    edges: list[int] = []
    for m, times in zip(multiple, _FREE_EDGES, strict=True):
        edge = m * times
        while edge in edges:
            edge += m
        edges.append(edge)
    x, y, z = edges
    return x, y, z


def _weight_bytes(network: nn.Module) -> int:
    """Return what weights take in float32: as they are read, and as a runtime arranges them."""
    return 2 * 4 * sum(parameter.numel() for parameter in network.parameters())


def _codes(use: NetworkUse) -> dict[str, Any]:
    """Return the codes of labels and regions, which are known for brain tumours."""
    if not use.is_brain_tumour:
        return {}
    shipped = yaml.safe_load((DEFAULT_BUNDLE / DESCRIPTION_NAME).read_text(encoding="utf-8"))
    return {"labels": shipped["labels"], "region_codes": shipped["region_codes"]}
