"""`tds dicom`: what a DICOM study holds, before anything is made of it."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose, parse_series

dicom_app: Final = typer.Typer(name="dicom", help="Look into DICOM studies.", rich_markup_mode=None)

StudyPath = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder or zip archive with one study.")]
Series = Annotated[
    list[str] | None,
    typer.Option("--series", metavar="MODALITY=SERIES", help="Try what it does to use this series (number or UID)."),
]
Descriptions = Annotated[
    bool, typer.Option("--descriptions", help="Show series descriptions whole; they may name the patient.")
]


@dicom_app.callback()
def _root() -> None:
    """Look into DICOM studies."""


@dicom_app.command()
def inspect(
    study: StudyPath,
    *,
    series: Series = None,
    descriptions: Descriptions = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Show the series of a study, what each seems to be and why, and which would be read as T1, T1ce, T2 and FLAIR.

    Nothing that names the patient is shown.
    """
    logs.set_verbosity(verbose=verbose)
    overrides = parse_series(series)
    if not study.exists():
        message = "there is no such file or folder; check the path of STUDY"
        raise UsageFault(message)
    with output.progress_on_stderr() as progress:
        from tds_cli.dicom_told import say_study_table  # noqa: PLC0415  # keeps `tds --help` quick
        from tds_clinical.dicom import inspect_study  # noqa: PLC0415  # as above

        table = inspect_study(
            study,
            overrides,
            whole_descriptions=descriptions,
            progress=lambda done, total: progress(f"looked at {done} of {total} files"),
        )
    if as_json:
        output.say_json(table.to_dict())
    else:
        say_study_table(table)
