"""From a MONAI bundle to a bundle here."""

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tds_core.bundle import NetworkUse, PostprocessConfig
from tds_core.description import read_orientation
from tds_core.training.export.facts import code_versions
from tds_core.training.export.monai.fields import (
    Inferer,
    Preprocessing,
    check_orientation,
    default_orientation,
    read_inferer,
    read_preprocessing,
    read_task,
    read_threshold,
)
from tds_core.training.export.monai.files import MonaiBundle, licence_of, open_monai, read_state, refusal
from tds_core.training.export.monai.networks import MonaiNetwork, read_network
from tds_core.training.export.packing import BundleContent, PackedBundle, pack_bundle
from tds_core.windows import Shape, WindowPlan
from tds_data.preprocess import PreprocessConfig
from tds_data.vocabulary import Modality

_UNKNOWN_LICENCE: Final = "LicenseRef-unknown"
_ONE_MM: Final = (1.0, 1.0, 1.0)
_STATED: Final = ("name", "version", "authors", "copyright", "task", "data_source", "intended_use", "eval_metrics")
_MAX_WORDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What a MONAI bundle does not say, or what is to be otherwise.

    Attributes:
        name: Of the bundle.
        version: Of the bundle.
        licence: SPDX expression of the weights' licence.
        spacing_mm: Edges of the network's voxels along x, y, z.
        patch: Voxels of a window.
        orientation: Order of the axes that the network was trained on, such as `RAS` or `LPS`.
    """

    name: str | None = None
    version: str | None = None
    licence: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    patch: Shape | None = None
    orientation: str | None = None


def import_monai(source: Path, target: Path, *, options: ImportOptions | None = None) -> PackedBundle:
    """Return the bundle of a MONAI bundle. Nothing in the MONAI bundle is run.

    Args:
        source: A folder, or a zip or tar file.
        target: Folder to make.
        options: What it does not say.

    Raises:
        BundleIncompatible: If it cannot be read without running something in it, or does what cannot be done here.
        ArchiveRefused: If the archive is damaged or reaches outside its folder (from tds_data).
        TrainingError: If its network cannot be exported.
        VolumeWriteError: If the target holds something or cannot be written (from tds_data).
    """
    wanted = options or ImportOptions()
    with open_monai(source) as bundle:
        network = read_network(bundle, read_state(bundle))
        content = _content(bundle, network, wanted)
    packed = pack_bundle(network.network, content, target)
    return replace(packed, notes=(*packed.notes, *content.provenance["notes"]))


def _content(bundle: MonaiBundle, network: MonaiNetwork, options: ImportOptions) -> BundleContent:
    before, inferer = read_preprocessing(bundle), read_inferer(bundle)
    task, heads = read_task(bundle, before.window)
    licence = options.licence or _words(licence_of(bundle) or _UNKNOWN_LICENCE)
    spacing = options.spacing_mm or before.spacing_mm or _ONE_MM
    axes = options.orientation or before.orientation or default_orientation(task)
    use = NetworkUse(
        task=task,
        heads=heads,
        windows=_windows(bundle, network, inferer, options.patch),
        reversed_axes=read_orientation(check_orientation(bundle, axes)),
    )
    modalities = tuple(Modality(c) for c in task.channels) if use.is_brain_tumour else ()
    notes = _notes(before, options, licence, axes)
    return BundleContent(
        use=use,
        # MONAI does not cut z-scores.
        preprocess=PreprocessConfig(modalities=modalities, spacing_mm=spacing, clip=math.inf),
        postprocess=PostprocessConfig(
            thresholds=dict.fromkeys(task.regions, read_threshold(bundle)), min_lesion_ml=0.0
        ),
        name=options.name or re.sub(r"[^A-Za-z0-9_.-]+", "-", bundle.name),
        version=options.version or _words(bundle.metadata.get("version", "0.0.0")),
        licence=licence,
        architecture={"name": network.family, "options": dict(network.arguments)},
        provenance={
            "origin": "monai",
            "stated": {key: _plain(bundle.metadata[key]) for key in _STATED if key in bundle.metadata},
            "notes": notes,
            "versions": code_versions(),
        },
    )


def _windows(bundle: MonaiBundle, network: MonaiNetwork, inferer: Inferer, patch: Shape | None) -> WindowPlan:
    chosen = patch or inferer.patch
    if chosen is None:
        if network.fixed:
            raise refusal(
                bundle.name, f"its {network.family} needs a window size, which it does not give; name a patch"
            )
        return WindowPlan(multiple=network.multiple)
    built_for = network.arguments.get("img_size")
    if network.family == "UNETR" and built_for is not None:
        sizes = [built_for] * 3 if isinstance(built_for, int) else list(built_for)
        if sizes != list(chosen):
            raise refusal(bundle.name, f"its UNETR was built for {sizes} voxels and its windows have {list(chosen)}")
    if any(edge % m for edge, m in zip(chosen, network.multiple, strict=True)):
        reason = (
            f"its windows of {list(chosen)} voxels are no multiples of {list(network.multiple)}; name another patch"
        )
        raise refusal(bundle.name, reason)
    return WindowPlan(
        patch=chosen,
        overlap=inferer.overlap,
        fixed=network.fixed,
        multiple=chosen if network.fixed else network.multiple,
        gaussian=inferer.gaussian,
    )


def _notes(before: Preprocessing, options: ImportOptions, licence: str, axes: str) -> list[str]:
    """Return what was taken for granted."""
    notes = ["What its authors state is in `bundle.yaml` under `provenance`; it was not checked here."]
    if options.spacing_mm is None and before.spacing_mm is None:
        notes.append("It does not say what voxels it was trained on; 1 mm was taken.")
    if options.orientation is None and before.orientation is None:
        notes.append(f"It does not turn images; they were taken to lie as {axes}, as its data set stores them.")
    if licence == _UNKNOWN_LICENCE:
        notes.append("It states no licence that is known here; ask its authors before you use it.")
    return notes


def _plain(value: object) -> Any:  # noqa: ANN401  # plain YAML values
    if isinstance(value, Mapping):
        return {_words(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    is_number = isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_number or value is None else _words(value)


def _words(value: object) -> str:
    """Return text from elsewhere in one line that no table breaks at."""
    return textwrap.shorten(str(value).replace("|", "/").replace("<", "(").replace(">", ")"), _MAX_WORDS)
