"""`tds evaluate`: how well masks agree with experts'."""

from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Device, ModelFolder, OnDevice, Trust, Verbose, parse_trust

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder with one sub-folder per patient, or one patient's.")]
Cases = Annotated[list[str] | None, typer.Option("--case", metavar="NAME", help="Only this sub-folder; repeatable.")]
Subsets = Annotated[bool, typer.Option("--subsets", help="Also score every subset of the sequences.")]
Artefact = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="JSON file to write.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="DIR", help="Folder to make: page, tables, box and Bland-Altman plots."),
]
Predictions = Annotated[
    Path | None,
    typer.Option("--predictions", metavar="DIR", help="Score NAME.nii.gz or NAME/mask.nii.gz here; run no model."),
]


def evaluate(  # noqa: PLR0913  # a command's parameters are its options
    data: Data,
    *,
    case: Cases = None,
    subsets: Subsets = False,
    out: Artefact = None,
    report: Report = None,
    predictions: Predictions = None,
    model: ModelFolder = None,
    trust: Trust = None,
    device: OnDevice = Device.CPU,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Score masks against experts': Dice, HD95 and more per patient, with intervals.

    The masks are the model's, or with --predictions ones that exist.
    """
    logs.set_verbosity(verbose=verbose)
    if subsets and predictions is not None:
        message = "--subsets runs the model and --predictions does not; choose one of them"
        raise UsageFault(message)
    from tds_cli import scoring  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.model import ModelRequest  # noqa: PLC0415  # as above

    if out is not None:
        scoring.check_artefact(out)
    if report is not None:
        scoring.check_report(report, protected=[data, *([] if predictions is None else [predictions])])
    cases = scoring.find_cases(data, case or ())
    request = ModelRequest(folder=model, trusted=parse_trust(trust), device=device)
    with output.progress_on_stderr() as progress:
        if predictions is not None:
            scores = scoring.score_predictions(cases, predictions, progress=progress)
        else:
            scores = scoring.score_model(cases, request, subsets=subsets, progress=progress)
    document = scoring.as_document(scores)
    if out is not None:
        scoring.write_artefact(out, document)
    if report is not None:
        scoring.write_evaluation(report, scores)
    if as_json:
        output.say_json(document)
    else:
        scoring.say_scores(scores)
        if out is not None:
            output.say(f"written to {out}")
        if report is not None:
            output.say(f"the page is {report / 'index.html'}")
