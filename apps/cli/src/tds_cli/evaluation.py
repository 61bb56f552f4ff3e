"""What `tds evaluate` does: a model's masks, or masks that exist, are scored, told and written."""

from dataclasses import dataclass
from pathlib import Path

from tds_cli import label_maps, output, scores_told, scoring
from tds_cli.errors import UsageFault
from tds_cli.model import ModelRequest
from tds_cli.output import Progress
from tds_cli.scoring import Scores
from tds_core.evaluation.task_file import choose_task


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """What is asked of `tds evaluate`.

    Attributes:
        data: Holds the experts' masks.
        names: Only these cases; all if empty.
        model: Which model makes the masks, unless they exist.
        predictions: Folder of masks that exist.
        task: Name or file of the task that they are of; brain tumours in studies if `None`.
        subsets: Whether every subset of the sequences is scored, too.
        artefact: JSON file to write.
        report: Folder to make.
    """

    data: Path
    names: tuple[str, ...]
    model: ModelRequest
    predictions: Path | None
    task: str | None
    subsets: bool
    artefact: Path | None
    report: Path | None


def evaluate_and_tell(request: EvaluateRequest, *, as_json: bool) -> None:
    """Score masks, and print what came of it.

    Args:
        request: Which.
        as_json: Whether a program reads along.

    Raises:
        UsageFault: If options do not go together, or a path is not there.
        DataError: If a case cannot be read or is refused.
        CoreError: If masks cannot be compared, or the model is refused.
    """
    _check(request)
    with output.progress_on_stderr() as progress:
        scores = _score(request, progress)
    document = scores_told.as_document(scores)
    if request.artefact is not None:
        scores_told.write_artefact(request.artefact, document)
    if request.report is not None:
        scores_told.write_evaluation(request.report, scores)
    if as_json:
        output.say_json(document)
        return
    scores_told.say_scores(scores)
    if request.artefact is not None:
        output.say(f"written to {request.artefact}")
    if request.report is not None:
        output.say(f"the page is {request.report / 'index.html'}")


def _check(request: EvaluateRequest) -> None:
    if request.predictions is not None and request.subsets:
        message = "--subsets runs the model and --predictions does not; choose one of them"
        raise UsageFault(message)
    if request.predictions is None and request.task is not None:
        message = "--task scores masks that exist; name their folder with --predictions, or leave --task out"
        raise UsageFault(message)
    if request.artefact is not None:
        scores_told.check_artefact(request.artefact)
    if request.report is not None:
        inputs = [request.data, *([] if request.predictions is None else [request.predictions])]
        scores_told.check_report(request.report, protected=inputs)


def _score(request: EvaluateRequest, progress: Progress) -> Scores:
    pictures = request.report is not None
    if request.predictions is not None and request.task is not None:
        task = choose_task(request.task)
        references = label_maps.find_references(request.data, request.names, task)
        return label_maps.score_label_maps(references, request.predictions, task, pictures=pictures, progress=progress)
    cases = scoring.find_cases(request.data, request.names)
    if request.predictions is not None:
        return scoring.score_predictions(cases, request.predictions, pictures=pictures, progress=progress)
    return scoring.score_model(cases, request.model, subsets=request.subsets, pictures=pictures, progress=progress)
