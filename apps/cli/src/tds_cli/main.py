"""The entry point: commands, and what becomes of their errors."""

import logging
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.commands.data import data_app
from tds_cli.commands.demo import demo
from tds_cli.commands.dicom import dicom_app
from tds_cli.commands.evaluate import evaluate
from tds_cli.commands.followup import followup
from tds_cli.commands.model import model_app
from tds_cli.commands.plan import plan
from tds_cli.commands.report import report_app
from tds_cli.commands.segment import segment
from tds_cli.commands.train import train
from tds_cli.exit_codes import ExitCode, describe
from tds_cli.signals import stoppable

logger = logging.getLogger(__name__)

app: Final = typer.Typer(
    name="tds",
    help="Segment brain tumours in MRI. Research use only. Not a medical device.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(segment)
app.command()(demo)
app.command()(evaluate)
app.command()(followup)
app.command()(plan)
app.command()(train)
app.add_typer(data_app, name="data")
app.add_typer(dicom_app, name="dicom")
app.add_typer(model_app, name="model")
app.add_typer(report_app, name="report")


def _show_version(*, value: bool) -> None:
    if value:
        output.say(f"tds {version('tds-cli')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=lambda value: _show_version(value=value), is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Segment brain tumours in MRI. Research use only. Not a medical device."""


def main() -> None:
    """Run the command line of this process and end it."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: What follows the program's name; nothing is answered with the help.
    """
    with logs.logging_to_stderr():
        try:
            with stoppable():
                code = typer.main.get_command(app).main(
                    list(arguments) or ["--help"], prog_name="tds", standalone_mode=False
                )
            output.finish()
        except BaseException as error:  # every error ends as an exit code and two lines
            logger.info("command_failed", exc_info=error)
            failure = describe(error)
            output.tell_failure(failure, error, as_json="--json" in arguments)
            return failure.exit_code
    return int(code or ExitCode.DONE)
