"""From a case to a mask and a report."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from tds_core.bundle import Bundle, load_bundle
from tds_core.engine import Engine, Ensemble, open_model
from tds_core.errors import BundleIncompatible
from tds_core.intervals import Bounds, band, measured_again, paint_bounds
from tds_core.lesions import drop_small_lesions
from tds_core.memory import check_memory
from tds_core.metrics import region_dice
from tds_core.prediction import coarse_labels, predict
from tds_core.regions import paint_regions
from tds_data.case import Case
from tds_data.errors import SequenceNotFound, VoxelError
from tds_data.preprocess import Prepared, prepare, restore
from tds_data.quality import check_case, refuse_errors
from tds_data.report import LesionReport, QualityFlag, Severity
from tds_data.volume import Volume

__all__ = ["InferenceOptions", "ProgressCallback", "Segmentation", "coarse_labels", "predict", "segment"]

ProgressCallback = Callable[[str], None]
"""Called with the name of each stage as it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceOptions:
    """How to run a model on a case.

    Attributes:
        device: `cpu`, `gpu` or `auto`; used when no engine is given.
        max_bytes: Refuse a study that needs more memory than this, bytes; the machine's free memory if `None`.
        phantom: Whether the case is synthetic; the report says so.
        progress: Called as each stage begins.
        keep_probabilities: Whether the segmentation holds them, too: four bytes a voxel and region more.
    """

    device: str = "cpu"
    max_bytes: int | None = None
    phantom: bool = False
    progress: ProgressCallback | None = None
    keep_probabilities: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """A mask and what it says.

    Attributes:
        case: The case that was segmented.
        mask: Uint8 labels 0 to 3 on the case's own grid.
        report: Lesions, volumes, quality flags, model identity and timings.
        bounds: The masks at a higher and at a lower threshold, which the report's intervals come from.
        probabilities: Float32 array of shape (x, y, z) on the mask's grid for each region, before small lesions are
            dropped; `None` unless they were asked for.
    """

    case: Case
    mask: Volume
    report: LesionReport
    bounds: Bounds
    probabilities: Mapping[str, NDArray[np.float32]] | None = None


@dataclass(slots=True, kw_only=True)
class _Stopwatch:
    progress: ProgressCallback | None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self.progress is not None:
            self.progress(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def segment(
    case: Case,
    *,
    bundle: Bundle | None = None,
    engine: Engine | Ensemble | None = None,
    options: InferenceOptions | None = None,
) -> Segmentation:
    """Return the tumour found in a case.

    Args:
        case: Registered, skull-stripped sequences on one grid; any non-empty subset.
        bundle: The model; the one that ships with this package if `None`.
        engine: Runs the bundle's networks; OpenVINO if `None`. Pass one to keep it warm over many cases.
        options: How to run.

    Raises:
        SequenceNotFound: If the model knows none of the sequences (from tds_data).
        VoxelError: If the network's output is not finite (from tds_data).
        RefusedStudy: If the quality gate refuses the study (from tds_data).
        ModelError: If the model is missing, altered, for another task or cannot be run.
        OutOfMemory: If the study would not fit into memory.
    """
    options = options or InferenceOptions()
    if bundle is not None:
        _refuse_other_tasks(bundle)
    watch = _Stopwatch(progress=options.progress)
    with watch.stage("quality"):
        flags = check_case(case)
        refuse_errors(flags)
    with watch.stage("model"):
        bundle = bundle or load_bundle()
        engine = engine or open_model(bundle, device=options.device)
    flags = (*flags, *_sequence_flags(case, bundle))
    with watch.stage("preprocess"):
        prepared = prepare(case, bundle.preprocess)
        check_memory(case, prepared, options.max_bytes, bundle.use)
    with watch.stage("infer"):
        probabilities = predict(engine, prepared.tensor, bundle.postprocess.mirror, use=bundle.use)
    with watch.stage("restore"):
        kept: dict[str, NDArray[np.float32]] | None = {} if options.keep_probabilities else None
        mask, bounds = _masks(probabilities, prepared, bundle, kept)
    with watch.stage("measure"):
        report = measured_again(_report(case, mask, flags, bundle, phantom=options.phantom), mask, bounds)
    report = replace(report, timings_s=watch.seconds)
    return Segmentation(case=case, mask=mask, report=report, bounds=bounds, probabilities=kept)


def _refuse_other_tasks(bundle: Bundle) -> None:
    task = bundle.use.task
    if not bundle.use.is_brain_tumour:
        message = (
            f"the model {bundle.identity.name!r} is for the task {task.name!r} ({', '.join(task.regions)} in "
            f"{', '.join(task.channels)}); studies are segmented by models for brain tumours only. From Python, "
            "tds_core.inference.predict runs it on a preprocessed tensor"
        )
        raise BundleIncompatible(message)


def _sequence_flags(case: Case, bundle: Bundle) -> tuple[QualityFlag, ...]:
    """Refuse a case that has nothing the model knows, and warn where it was measured to miss much of the tumour."""
    known = bundle.preprocess.modalities
    if not set(known) & set(case.modalities):
        message = f"the model reads {', '.join(known)}; the study has only {', '.join(case.modalities)}"
        raise SequenceNotFound(message)
    needed = bundle.reliable_with
    if not needed or set(needed) & set(case.modalities):
        return ()
    message = f"without {' or '.join(needed)} this model misses much of the tumour or all of it: see its model card"
    value = ", ".join(case.modalities)
    return (QualityFlag(code="UNRELIABLE-SEQUENCES", severity=Severity.WARNING, message=message, value=value),)


def _masks(
    probabilities: NDArray[np.float32],
    prepared: Prepared,
    bundle: Bundle,
    kept: dict[str, NDArray[np.float32]] | None,
) -> tuple[Volume, Bounds]:
    """Return the mask on the study's own grid and those around it, and put the probabilities there into `kept`."""
    if not np.isfinite(probabilities).all():
        message = "the network's output is not finite, so there is no mask; check the images for extreme values"
        raise VoxelError(message)
    task, thresholds = bundle.use.task, bundle.postprocess.thresholds
    masks, sure, possible = {}, {}, {}
    for region, coarse in zip(task.regions, probabilities, strict=True):
        restored = restore(coarse, prepared)
        lower, upper = band(thresholds[region])
        masks[region] = restored >= thresholds[region]
        sure[region], possible[region] = restored >= upper, restored >= lower
        if kept is not None:
            kept[region] = restored
    grid = prepared.grid
    labels = drop_small_lesions(paint_regions(masks, task), bundle.postprocess.min_lesion_ml / grid.voxel_volume_ml)
    mask = Volume(labels, grid.ras_from_voxel)
    return mask, paint_bounds(sure, possible, mask, task)


def _report(case: Case, mask: Volume, flags: tuple[QualityFlag, ...], bundle: Bundle, *, phantom: bool) -> LesionReport:
    dice = None if case.reference is None else region_dice(mask.voxels, case.reference.voxels)
    return LesionReport(
        case=case.name,
        modalities=case.modalities,
        lesions=(),
        volume_ml={},
        quality=flags,
        model=bundle.identity,
        dice=dice,
        phantom=phantom,
    )
