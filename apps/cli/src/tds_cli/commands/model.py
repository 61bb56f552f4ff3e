"""`tds model`: what a model bundle is, and whether it is still what it was."""

from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.options import AsJson, Device, OnDevice, Trust, Verbose, parse_trust

model_app: Final = typer.Typer(name="model", help="Show and verify model bundles.", rich_markup_mode=None)

Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Model bundle; the shipped one by default.")]


@model_app.command()
def show(folder: Folder = None, *, trust: Trust = None, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Say what a model is, where it comes from and under which licence."""
    logs.set_verbosity(verbose=verbose)
    from tds_cli.model import ModelRequest  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.model_checks import describe_model  # noqa: PLC0415  # as above

    description = describe_model(ModelRequest(folder=folder, trusted=parse_trust(trust)))
    if as_json:
        output.say_json(description)
    else:
        output.say_fields(description)


@model_app.command()
def verify(
    folder: Folder = None,
    *,
    trust: Trust = None,
    device: OnDevice = Device.CPU,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Hash every file of a model again and run its golden case."""
    logs.set_verbosity(verbose=verbose)
    from tds_cli.model import ModelRequest  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.model_checks import verify_model  # noqa: PLC0415  # as above

    with output.progress_on_stderr() as progress:
        progress("checking the files and running the golden case")
        verified = verify_model(ModelRequest(folder=folder, trusted=parse_trust(trust), device=device))
    if as_json:
        output.say_json(verified)
    else:
        output.say(f"{verified['name']} {verified['version']} is intact, and its golden case gives the expected result")
        output.say(f"manifest {verified['sha256']}")
