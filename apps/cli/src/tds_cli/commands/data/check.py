"""`tds data check`: what is wrong with a data set, case by case."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.exit_codes import ExitCode
from tds_cli.options import AsJson, Verbose

_MAX_WORKERS: Final = 8


class FailOn(StrEnum):
    """From which severity on findings make the command fail."""

    ERROR = "error"
    WARNING = "warning"
    NEVER = "never"


Source = Annotated[Path, typer.Argument(metavar="DIR", help="The data set's top folder, or a manifest.json.")]
Folder = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="OUT", help="Folder that receives check.html and check.json.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Cases at a time; one for each core by default.")
]
Failing = Annotated[FailOn, typer.Option("--fail-on", help="From which findings on the exit code is 3.")]
Layout = Annotated[str | None, typer.Option("--layout", help="Layout of DIR; recognised by default.")]
Scheme = Annotated[
    str | None, typer.Option("--scheme", help="Label scheme of the masks, such as brats-2021; found out by default.")
]


def check(  # noqa: PLR0913  # a command's parameters are its options
    source: Source,
    *,
    out: Folder = None,
    workers: Workers = None,
    fail_on: Failing = FailOn.ERROR,
    layout: Layout = None,
    scheme: Scheme = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Look for faults in every case of a data set: files, geometry, intensities, content and labels.

    With -o the findings also go to a page with pictures, and to a JSON file.
    """
    logs.set_verbosity(verbose=verbose)
    if not source.exists():
        message = f"there is no file or folder {str(source)!r}; check the path"
        raise UsageFault(message)
    if source.is_file() and (layout or scheme):
        message = "--layout and --scheme are for a folder; a manifest says both, so leave them out"
        raise UsageFault(message)
    from tds_cli.check_summary import say_report  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_data.quality import check_dataset, open_source, prepare_folder, write_check  # noqa: PLC0415  # as above
    from tds_data.report import Severity  # noqa: PLC0415  # as above

    if out is not None:
        prepare_folder(out)
    count = workers or min(_MAX_WORKERS, os.cpu_count() or 1)
    with output.progress_on_stderr() as progress:
        found = open_source(
            source,
            layout=layout,
            scheme=scheme,
            workers=count,
            progress=lambda done, total, what: progress(f"{what} {done} of {total} files"),
        )
        report = check_dataset(
            found.manifest,
            workers=count,
            flags=found.flags,
            is_pictured=out is not None,
            progress=lambda done, total, _: progress(f"checked {done} of {total} cases"),
        )
        written = None if out is None else write_check(report, out)
    if as_json:
        output.say_json({"output": None if out is None else str(out), **report.to_dict()})
    else:
        say_report(report)
        if written is not None:
            output.say(f"\nwritten to {written[0]} and {written[1].name}")
    if fail_on is not FailOn.NEVER and report.reaches(Severity(fail_on)):
        raise typer.Exit(ExitCode.STUDY_REFUSED)
