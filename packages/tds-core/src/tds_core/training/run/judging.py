"""A bundle on the validation cases of its run: whole cases on their own grids, as a hospital would see them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tds_core.bundle import Bundle, load_bundle
from tds_core.engine import Engine, Ensemble, open_model
from tds_core.errors import EvaluationError, OutOfMemory
from tds_core.evaluation import CaseScores, Gallery, GalleryEntry, JudgedCase, as_scored, evaluate_case, score_labels
from tds_core.evaluation.summary import ScoredCase
from tds_core.inference import InferenceOptions, segment
from tds_core.lesions import drop_small_lesions
from tds_core.prediction import predict
from tds_core.regions import paint_regions
from tds_core.training.export import PackedBundle
from tds_core.training.run.datasets import Progress, SplitDataset
from tds_core.training.run.preparation import PreparedRun
from tds_data.cache import load_task_case, prepare_task
from tds_data.datasets import CaseEntry, load_entry
from tds_data.errors import DataError
from tds_data.preprocess import restore
from tds_data.vocabulary import Modality


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a bundle is worth on the validation cases of its run.

    Attributes:
        scores: Of each case that could be judged.
        unscored: Why each of the others could not, by its name.
        gallery: Pictures of the worst.
    """

    scores: tuple[ScoredCase, ...]
    unscored: dict[str, str]
    gallery: tuple[GalleryEntry, ...]


def judge_bundle(packed: PackedBundle, prepared: PreparedRun, progress: Progress) -> Judged:
    """Return the scores of a bundle on a run's validation cases.

    A case that is refused, such as by the quality gate, does not take the scores of the others with it.

    Args:
        packed: The model.
        prepared: The run.
        progress: Hears of each case.

    Raises:
        ModelError: If the bundle is not what was packed.
        EvaluationError: If no case can be judged.
    """
    bundle = load_bundle(packed.folder, trusted=[packed.sha256])
    judge = _Judge(bundle=bundle, engine=open_model(bundle))
    gallery = Gallery(task=prepared.config.goal)
    scores: list[ScoredCase] = []
    unscored: dict[str, str] = {}
    total = sum(len(part.validation) for part in prepared.datasets)
    for done, (part, entry) in enumerate(_cases(prepared), start=1):
        name = part.full_name(entry.name)
        try:
            found, judged = judge.score(part, entry)
        except (DataError, OutOfMemory, EvaluationError) as error:
            unscored[name] = str(error)
        else:
            scores.append(as_scored(name, found, phantom=entry.phantom))
            gallery.consider(scores[-1], judged)
        progress(done, total, f"evaluated {name}")
    if not scores:
        message = f"none of the {total} validation cases can be segmented whole, the last because {unscored[name]}"
        raise EvaluationError(message)
    return Judged(scores=tuple(scores), unscored=unscored, gallery=gallery.entries())


def _cases(prepared: PreparedRun) -> Iterator[tuple[SplitDataset, CaseEntry]]:
    for part in prepared.datasets:
        entries = {entry.name: entry for entry in part.manifest.cases}
        for name in part.validation:
            yield part, entries[name]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judge:
    bundle: Bundle
    engine: Engine | Ensemble

    def score(self, part: SplitDataset, entry: CaseEntry) -> tuple[CaseScores, JudgedCase]:
        if self.bundle.use.is_brain_tumour:
            return self._brain(part, entry)
        return self._other(part, entry)

    def _brain(self, part: SplitDataset, entry: CaseEntry) -> tuple[CaseScores, JudgedCase]:
        case = load_entry(part.manifest, entry, others=part.config.others)
        options = InferenceOptions(keep_probabilities=True)
        segmentation = segment(case, bundle=self.bundle, engine=self.engine, options=options)
        shown = case.images.get(Modality.FLAIR, case.grid)
        judged = JudgedCase(found=segmentation.mask, truth=case.reference or segmentation.mask, image=shown)
        return evaluate_case(segmentation), judged

    def _other(self, part: SplitDataset, entry: CaseEntry) -> tuple[CaseScores, JudgedCase]:
        use, after = self.bundle.use, self.bundle.postprocess
        case = load_task_case(part.manifest, entry, use.task, others=part.config.others)
        prepared = prepare_task(case, self.bundle.preprocess).prepared
        grid = prepared.grid
        if case.reference is None or not case.reference.same_grid(grid):
            message = f"the mask of {entry.name!r} is not on the grid of its first image, on which masks are made"
            raise EvaluationError(message)
        coarse = predict(self.engine, prepared.tensor, after.mirror, use=use)
        if not np.isfinite(coarse).all():
            message = f"the network's output is not finite for {entry.name!r}"
            raise EvaluationError(message)
        fine = {region: restore(p, prepared) for region, p in zip(use.task.regions, coarse, strict=True)}
        labels = paint_regions({region: p >= after.thresholds[region] for region, p in fine.items()}, use.task)
        mask = grid.with_voxels(drop_small_lesions(labels, after.min_lesion_ml / grid.voxel_volume_ml))
        scores = score_labels(
            mask.voxels, case.reference, use.task, case=entry.name, modalities=tuple(case.images), probabilities=fine
        )
        return scores, JudgedCase(found=mask, truth=case.reference, image=grid)
