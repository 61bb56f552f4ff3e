"""`tds train`: from a recipe to an evaluated model."""

from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose

Recipe = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file that says what to train.")]
Run = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="RUN", help="Folder of the run; runs/NAME by default."),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of CONFIG, such as length.epochs=50; repeatable."),
]
Fold = Annotated[
    str | None, typer.Option("--fold", metavar="N|all", help="Fold that validates; `all` trains one after the other.")
]

_ALL = "all"


def train(  # noqa: PLR0913  # a command's parameters are its options
    config: Recipe,
    *,
    out: Run = None,
    resume: Resume = False,
    settings: Settings = None,
    fold: Fold = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Train a model as CONFIG says, evaluate it and pack it into a bundle.

    The run can be stopped at any moment and gone on with by --resume.
    """
    logs.set_verbosity(verbose=verbose)
    chosen = _parse_fold(fold)
    from tds_cli import training  # noqa: PLC0415  # loads torch, which `tds --help` must not wait for

    request = training.TrainRequest(
        config=config, folder=out, settings=tuple(settings or ()), resume=resume, fold=chosen, all_folds=fold == _ALL
    )
    training.train_and_tell(request, as_json=as_json)


def _parse_fold(text: str | None) -> int | None:
    if text is None or text == _ALL:
        return None
    if not text.isdecimal():
        message = f"--fold takes the number of a fold, from 0, or all; {text[:80]!r} was given"
        raise UsageFault(message)
    return int(text)
