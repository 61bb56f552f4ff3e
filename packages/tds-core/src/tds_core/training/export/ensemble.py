"""Several bundles as one: their probabilities are averaged, and their networks run one after the other."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import onnx

from tds_core.bundle import GRAPH_NAME, WEIGHTS_NAME, Bundle, Member
from tds_core.errors import BundleIncompatible
from tds_core.training.export.facts import code_versions
from tds_core.training.export.golden_input import make_golden_input
from tds_core.training.export.packing import BundleContent, PackedBundle, describe, finish
from tds_data.atomic import atomic_folder

_MOST: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleNaming:
    """What an ensemble is called.

    Attributes:
        name: Of the bundle.
        version: Of the bundle.
    """

    name: str = "ensemble"
    version: str = "0.1.0"


def make_ensemble(
    bundles: Sequence[Bundle],
    target: Path,
    *,
    shares: Sequence[float] | None = None,
    naming: EnsembleNaming | None = None,
) -> PackedBundle:
    """Return a bundle that averages the probabilities of others.

    Thresholds are the means of the members'; lesions are dropped and copies mirrored as the first member has it.

    Args:
        bundles: Verified, of one network each; two or more for the same task and preprocessing.
        target: Folder to make.
        shares: How much each counts; all alike if `None`.
        naming: What to call it.

    Raises:
        BundleIncompatible: If the bundles do not fit together.
        TrainingError: If the result is not finite.
        VolumeWriteError: If the target holds something or cannot be written (from tds_data).
    """
    named = naming or EnsembleNaming()
    members = tuple(
        Member(graph=GRAPH_NAME if number == 1 else f"model-{number}.onnx", share=share)
        for number, share in enumerate(_shares(len(bundles), shares), start=1)
    )
    _check(bundles)
    first = bundles[0]
    use = replace(
        first.use,
        members=members,
        bytes_per_voxel=max(b.use.bytes_per_voxel for b in bundles),
        weight_bytes=max(b.use.weight_bytes for b in bundles),
    )
    golden = make_golden_input(use, first.preprocess)
    document = _document(bundles, ensemble=replace(first, use=use), named=named)
    with atomic_folder(target, protected=[b.folder for b in bundles]) as folder:
        for number, (bundle, member) in enumerate(zip(bundles, members, strict=True), start=1):
            _take_member(bundle, folder, member, number)
        sha256 = finish(folder, document, golden)
    return PackedBundle(folder=target, sha256=sha256)


def _shares(count: int, shares: Sequence[float] | None) -> list[float]:
    wanted = [1.0] * count if shares is None else list(shares)
    if not 2 <= count <= _MOST:  # noqa: PLR2004  # one is no ensemble
        message = f"an ensemble has 2 to {_MOST} bundles; {count} were given"
        raise BundleIncompatible(message)
    if len(wanted) != count or min(wanted) <= 0:
        message = f"each of the {count} bundles needs a share above 0; {wanted} was given"
        raise BundleIncompatible(message)
    return [share / sum(wanted) for share in wanted]


def _check(bundles: Sequence[Bundle]) -> None:
    """Refuse bundles that do not see and say the same."""
    first = bundles[0]
    for bundle in bundles:
        if len(bundle.use.members) > 1:
            message = f"the bundle {bundle.identity.name!r} is an ensemble itself; give its members"
            raise BundleIncompatible(message)
        compared = {
            "task": (_task(bundle), _task(first)),
            "preprocessing": (bundle.preprocess, first.preprocess),
            "heads": (bundle.use.heads, first.use.heads),
            "windows": (bundle.use.windows, first.use.windows),
            "orientation": (bundle.use.reversed_axes, first.use.reversed_axes),
        }
        differing = [what for what, (one, other) in compared.items() if one != other]
        if differing:
            message = (
                f"the bundles {first.identity.name!r} and {bundle.identity.name!r} differ in {', '.join(differing)}; "
                "an ensemble needs members that take the same input and give the same regions"
            )
            raise BundleIncompatible(message)
    twice = {b.identity.sha256 for b in bundles}
    if len(twice) < len(bundles):
        message = "one bundle was given twice; name each once, and weigh it by its share"
        raise BundleIncompatible(message)


def _task(bundle: Bundle) -> tuple[object, ...]:
    """Return what must be the same; regions in their order, because outputs have it."""
    task = bundle.use.task
    return task.channels, task.labels, list(task.regions.items()), dict(task.windows)


def _document(bundles: Sequence[Bundle], *, ensemble: Bundle, named: EnsembleNaming) -> dict[str, Any]:
    count = len(bundles)
    thresholds = {
        region: sum(b.postprocess.thresholds[region] for b in bundles) / count for region in ensemble.use.task.regions
    }
    licences = sorted({b.identity.licence for b in bundles})
    provenance = {
        "origin": "ensemble",
        "phantoms": _phantoms(bundles),
        "members": [
            {
                "name": b.identity.name,
                "version": b.identity.version,
                "sha256": b.identity.sha256,
                "licence": b.identity.licence,
                "share": member.share,
                "provenance": b.description["provenance"],
            }
            for b, member in zip(bundles, ensemble.use.members, strict=True)
        ],
        "notes": ["Its members were measured one by one; see their own cards. Together they were not measured."],
        "versions": code_versions(),
    }
    content = BundleContent(
        use=ensemble.use,
        preprocess=ensemble.preprocess,
        postprocess=replace(ensemble.postprocess, thresholds=thresholds),
        name=named.name,
        version=named.version,
        licence=" AND ".join(licences),
        architecture={"name": " + ".join(dict.fromkeys(b.identity.architecture for b in bundles))},
        provenance=provenance,
    )
    stored = sorted({_stored(b.description) for b in bundles})
    return describe(content, {"weights": " and ".join(stored)})


def _stored(description: Mapping[str, Any]) -> str:
    # Format 1 has halves only.
    return str(description.get("precision", {"weights": "float16"})["weights"])


def _phantoms(bundles: Sequence[Bundle]) -> str:
    told: set[str] = {_of_phantoms(b.description) for b in bundles}
    if len(told) == 1:
        return told.pop()
    return "unknown" if "unknown" in told else "some"


def _of_phantoms(description: Mapping[str, Any]) -> str:
    return str(description["provenance"].get("phantoms", "unknown"))


def _take_member(bundle: Bundle, folder: Path, member: Member, number: int) -> None:
    """Copy weights and graph of a member under names of their own."""
    weights = WEIGHTS_NAME if number == 1 else f"weights-{number}.safetensors"
    shutil.copyfile(bundle.folder / WEIGHTS_NAME, folder / weights)
    graph = onnx.load(bundle.graph, load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = weights
    (folder / member.graph).write_bytes(graph.SerializeToString(deterministic=True))
