"""`tds evaluate`: how well masks agree with experts'."""

from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs
from tds_cli.options import AsJson, Device, ModelFolder, OnDevice, Trust, Verbose, parse_trust

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder with one sub-folder per patient, or one patient's.")]
Cases = Annotated[list[str] | None, typer.Option("--case", metavar="NAME", help="Only this sub-folder; repeatable.")]
Subsets = Annotated[bool, typer.Option("--subsets", help="Also score every subset of the sequences.")]
Artefact = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="JSON file to write.")]
Report = Annotated[
    Path | None,
    typer.Option("--report", metavar="DIR", help="Folder to make: page, tables, plots, worst cases."),
]
TaskName = Annotated[
    str | None,
    typer.Option("--task", metavar="TASK|FILE", help="With --predictions: score masks of another task."),
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
    task: TaskName = None,
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
    from tds_cli import evaluation  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.model import ModelRequest  # noqa: PLC0415  # as above

    request = evaluation.EvaluateRequest(
        data=data,
        names=tuple(case or ()),
        model=ModelRequest(folder=model, trusted=parse_trust(trust), device=device),
        predictions=predictions,
        task=task,
        subsets=subsets,
        artefact=out,
        report=report,
    )
    evaluation.evaluate_and_tell(request, as_json=as_json)
