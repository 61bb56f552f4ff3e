"""Scores of the model, or of masks that exist, against experts' masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tds_cli.errors import ReferenceMissing, UsageFault
from tds_cli.model import ModelRequest
from tds_cli.output import Progress
from tds_core.api import TumorDetector
from tds_core.errors import EvaluationError
from tds_core.evaluation import (
    CaseScores,
    Gallery,
    GalleryEntry,
    JudgedCase,
    ScoredCase,
    as_scored,
    case_folders,
    evaluate_case,
    score_labels,
    sequence_subsets,
    with_sequences,
)
from tds_core.inference import InferenceOptions
from tds_data.case import Case
from tds_data.discover import discover
from tds_data.errors import GridMismatch
from tds_data.formats.names import IMAGE_SUFFIXES
from tds_data.labels import read_reference
from tds_data.report import ModelIdentity
from tds_data.study_files import StudyFiles, load_case
from tds_data.task import BRAIN_TUMOUR, Task
from tds_data.vocabulary import Modality
from tds_data.volume import Volume

_SHOWN: Final = Modality.FLAIR
"""What a case is pictured on, where it has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one or more cases.

    Attributes:
        cases: With all sequences that each case has; never empty.
        subsets: The same cases once more for each subset of the sequences, if asked for.
        model: Which model made the masks, if one was run.
        phantoms: Names of the cases that are synthetic.
        task: What the masks show.
        gallery: Pictures of the worst cases, if they were asked for.
    """

    cases: tuple[CaseScores, ...]
    subsets: Mapping[tuple[Modality, ...], tuple[CaseScores, ...]]
    model: ModelIdentity | None
    phantoms: frozenset[str] = frozenset()
    task: Task = BRAIN_TUMOUR
    gallery: tuple[GalleryEntry, ...] = ()

    @property
    def scored(self) -> tuple[ScoredCase, ...]:
        """The numbers of each case, to sum up."""
        return tuple(self.numbers(case) for case in self.cases)

    def numbers(self, case: CaseScores) -> ScoredCase:
        """Return the numbers of a case.

        Args:
            case: One of these.
        """
        return as_scored(case.case, case, phantom=case.case in self.phantoms)


def find_cases(root: Path, names: Sequence[str]) -> list[StudyFiles]:
    """Return the files of each case below a folder.

    Args:
        root: Folder with one sub-folder per patient, or one patient's own.
        names: Only these sub-folders; all if empty.

    Raises:
        UsageFault: If a folder does not exist.
        StudyError: If a folder holds no study.
        ReferenceMissing: If a case has no reference mask.
    """
    for folder in (root, *(root / name for name in names)):
        if not folder.is_dir():
            message = f"there is no folder {str(folder)!r}; check the path"
            raise UsageFault(message)
    cases = [discover(folder) for folder in case_folders(root, names)]
    without = [case.name for case in cases if case.reference is None]
    if without:
        raise ReferenceMissing(without)
    return cases


def score_model(
    cases: Sequence[StudyFiles], request: ModelRequest, *, subsets: bool, pictures: bool, progress: Progress
) -> Scores:
    """Return the scores of a model's masks. Each case is read once, and the model stays loaded.

    Args:
        cases: With reference masks.
        request: Which model.
        subsets: Whether every subset of a case's sequences is scored too.
        pictures: Whether the worst cases are pictured.
        progress: Hears of each case.

    Raises:
        DataError: If a case cannot be read or is refused.
        ModelError: If the model is refused.
    """
    detector = TumorDetector(request.folder, request.device, trusted=request.trusted)
    options = InferenceOptions(keep_probabilities=True)
    phantoms, gallery = _phantoms(cases), Gallery(task=BRAIN_TUMOUR)
    whole: list[CaseScores] = []
    parts: dict[tuple[Modality, ...], list[CaseScores]] = {}
    for number, files in enumerate(cases, start=1):
        case = load_case(files)
        for chosen in sequence_subsets(case.modalities) if subsets else (case.modalities,):
            progress(f"case {number} of {len(cases)}: {', '.join(chosen)}")
            segmentation = detector.predict_case(with_sequences(case, chosen), options=options)
            scores = evaluate_case(segmentation)
            parts.setdefault(chosen, []).append(scores)
            if chosen == case.modalities:
                whole.append(scores)
                if pictures:
                    numbers = as_scored(case.name, scores, phantom=case.name in phantoms)
                    gallery.consider(numbers, _judged(case, segmentation.mask))
    return Scores(
        cases=tuple(whole),
        subsets={chosen: tuple(scores) for chosen, scores in parts.items()} if subsets else {},
        model=detector.bundle.identity,
        phantoms=phantoms,
        gallery=gallery.entries(),
    )


def score_predictions(cases: Sequence[StudyFiles], folder: Path, *, pictures: bool, progress: Progress) -> Scores:
    """Return the scores of masks that exist.

    Args:
        cases: With reference masks.
        folder: Holds `NAME.nii.gz`, `NAME.nii` or `NAME/mask.nii.gz` for each case.
        pictures: Whether the worst cases are pictured.
        progress: Hears of each case.

    Raises:
        EvaluationError: If a case has no mask there.
        GridMismatch: If a mask is not on its reference's grid.
        DataError: If a mask cannot be read.
    """
    masks = [find_prediction(folder, files.name) for files in cases]
    phantoms, gallery = _phantoms(cases), Gallery(task=BRAIN_TUMOUR)
    scores = []
    for number, (files, place) in enumerate(zip(cases, masks, strict=True), start=1):
        progress(f"case {number} of {len(cases)}")
        case = load_case(files)
        if case.reference is None:  # pragma: no cover  # find_cases refuses such cases
            raise ReferenceMissing([files.name])
        mask = read_reference(place)
        check_grid(case.name, mask, case.reference)
        scored = score_labels(mask.voxels, case.reference, BRAIN_TUMOUR, case=case.name, modalities=case.modalities)
        scores.append(scored)
        if pictures:
            numbers = as_scored(case.name, scored, phantom=case.name in phantoms)
            gallery.consider(numbers, _judged(case, mask))
    return Scores(cases=tuple(scores), subsets={}, model=None, phantoms=phantoms, gallery=gallery.entries())


def find_prediction(folder: Path, name: str) -> Path:
    """Return the file of a case's mask.

    Args:
        folder: Holds one for each case.
        name: Of the case.

    Raises:
        EvaluationError: If there is none.
    """
    places = [*(folder / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES), folder / name / "mask.nii.gz"]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        message = f"no mask of {name!r} in {folder.name!r}; name it {name}.nii.gz or {name}/mask.nii.gz"
        raise EvaluationError(message)
    return found


def check_grid(name: str, mask: Volume, reference: Volume) -> None:
    """Refuse a mask that is not on its reference's grid.

    Args:
        name: Of the case.
        mask: To be judged.
        reference: The expert's.

    Raises:
        GridMismatch: If the grids differ.
    """
    if not reference.same_grid(mask):
        message = f"the mask of {name!r} is not on its reference's grid; resample it to that grid first"
        raise GridMismatch(message)


def _phantoms(cases: Sequence[StudyFiles]) -> frozenset[str]:
    return frozenset(files.name for files in cases if files.phantom is not None)


def _judged(case: Case, mask: Volume) -> JudgedCase:
    shown = _SHOWN if _SHOWN in case.images else case.modalities[0]
    return JudgedCase(found=mask, truth=case.reference or mask, image=case.images[shown])
