"""`tds model`: what a model bundle is, whether it is still what it was, and bundles made of something else."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from tds_cli import logs, output
from tds_cli.options import AsJson, Device, OnDevice, Trust, Verbose, parse_three, parse_trust

model_app: Final = typer.Typer(name="model", help="Show, verify and make model bundles.", rich_markup_mode=None)

Out = Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder to make.")]
Name = Annotated[str | None, typer.Option("--name", help="What to call the bundle.")]
Version = Annotated[str | None, typer.Option("--version", help="Version of the bundle.")]
Licence = Annotated[
    str | None, typer.Option("--licence", metavar="SPDX", help="Licence of the weights, such as CC-BY-4.0.")
]
Spacing = Annotated[
    str | None, typer.Option("--spacing", metavar="MM[,MM,MM]", help="Voxels that the network was trained on.")
]
Patch = Annotated[str | None, typer.Option("--patch", metavar="X,Y,Z", help="Voxels of a window.")]
Orientation = Annotated[
    str | None, typer.Option("--orientation", metavar="AXES", help="Axes that it was trained on: RAS, LPS, ...")
]
Share = Annotated[
    list[float] | None, typer.Option("--share", help="How much a bundle counts; once for each, in their order.")
]
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


@model_app.command()
def export(  # noqa: PLR0913  # a command's parameters are its options
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `tds train`.")],
    *,
    out: Out,
    name: Name = None,
    version: Version = None,
    licence: Licence = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Pack the best weights of a run into a bundle."""
    logs.set_verbosity(verbose=verbose)
    with output.progress_on_stderr() as progress:
        progress("exporting the network and running its golden case")
        from tds_cli.model_making import export as make  # noqa: PLC0415  # loads torch, which `tds --help` must not
        from tds_core.training.export import BundleNaming  # noqa: PLC0415  # as above

        made = make(run, out, BundleNaming(name=name, version=version, licence=licence))
    _tell_made(made, as_json=as_json)


@model_app.command(name="import")
def import_(  # noqa: PLR0913  # a command's parameters are its options
    source: Annotated[Path, typer.Argument(metavar="MONAI_BUNDLE", help="Folder, zip or tar file of a MONAI bundle.")],
    *,
    out: Out,
    name: Name = None,
    version: Version = None,
    licence: Licence = None,
    spacing: Spacing = None,
    patch: Patch = None,
    orientation: Orientation = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make a bundle of a MONAI bundle, without running anything in it."""
    logs.set_verbosity(verbose=verbose)
    edges, window = parse_three(spacing, "--spacing"), parse_three(patch, "--patch")
    with output.progress_on_stderr() as progress:
        progress("reading the MONAI bundle and exporting its network")
        from tds_cli.model_making import MonaiRequest, import_from_monai  # noqa: PLC0415  # loads torch, as below
        from tds_core.training.export import BundleNaming  # noqa: PLC0415  # as above

        request = MonaiRequest(
            source=source,
            target=out,
            naming=BundleNaming(name=name, version=version, licence=licence),
            spacing_mm=edges,
            patch=window,
            orientation=orientation,
        )
        made = import_from_monai(request)
    _tell_made(made, as_json=as_json)


@model_app.command()
def ensemble(  # noqa: PLR0913  # a command's parameters are its options
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Bundles for the same task.")],
    *,
    out: Out,
    trust: Trust = None,
    share: Share = None,
    name: Name = None,
    version: Version = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make one bundle that averages the probabilities of several."""
    logs.set_verbosity(verbose=verbose)
    trusted = parse_trust(trust)
    with output.progress_on_stderr() as progress:
        progress("checking the bundles and running the golden case")
        from tds_cli.model_making import ensemble as make  # noqa: PLC0415  # loads torch, which `tds --help` must not
        from tds_core.training.export import BundleNaming  # noqa: PLC0415  # as above

        made = make(bundles, out, trusted=trusted, shares=share, naming=BundleNaming(name=name, version=version))
    _tell_made(made, as_json=as_json)


def _tell_made(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.say_json(made)
        return
    output.say(f"made {made['output']}, and its golden case gives what it gave")
    for note in made["notes"]:
        output.say(f"note: {note}")
    output.say(f"manifest {made['sha256']}")
    output.say(f"use it with --model {made['output']} --trust {made['sha256']}")
