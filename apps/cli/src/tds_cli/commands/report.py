"""`tds report`: what becomes of a result after it was made."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose

if TYPE_CHECKING:
    from tds_clinical.fhir import PushResult

_LONGEST_S: Final = 86_400.0  # a day; more overflows in the sockets of some systems

report_app: Final = typer.Typer(
    name="report", help="Send results to a hospital's systems. Research use only.", rich_markup_mode=None
)

Result = Annotated[Path, typer.Argument(metavar="RESULT", help="Folder that `tds segment` made of a DICOM study.")]
Url = Annotated[str, typer.Option("--to", metavar="URL", help="Base of the server's FHIR interface.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with a bearer token; else TDS_FHIR_TOKEN is used."),
]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", metavar="FILE", help="Certificates to check the server's with.")
]
AllowHttp = Annotated[bool, typer.Option("--allow-http", help="Send unencrypted, even to another machine.")]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, max=_LONGEST_S, metavar="S", help="Seconds to wait for an answer.")
]
Retries = Annotated[int, typer.Option("--retries", min=0, help="How often to try again while the server is busy.")]
MaxEntries = Annotated[
    int | None,
    typer.Option("--max-entries", min=1, metavar="N", help="Most entries of one transaction that the server takes."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")]


@report_app.callback()
def _root() -> None:
    """Send results to a hospital's systems. Research use only."""


@report_app.command()
def push(  # noqa: PLR0913  # a command's parameters are its options
    result: Result,
    *,
    to: Url,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
    allow_http: AllowHttp = False,
    timeout: Timeout = 30.0,
    retries: Retries = 3,
    max_entries: MaxEntries = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Send a result's FHIR bundle to a server. Sent twice, it makes nothing twice."""
    logs.set_verbosity(verbose=verbose)
    if math.isnan(timeout):  # compares with no limit, so that older releases of Typer let it pass
        message = "--timeout takes a number of seconds; nan was given"
        raise UsageFault(message)
    from tds_cli.pushing import count_kinds, read_bundle, read_token  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_clinical.fhir import PushOptions, check_address, push_bundle  # noqa: PLC0415  # as above

    bundle = read_bundle(result)
    kinds = count_kinds(bundle)
    options = PushOptions(
        token=read_token(token_file),
        ca_file=ca_file,
        allow_http=allow_http,
        timeout_s=timeout,
        retries=retries,
        max_entries=max_entries,
    )
    check_address(to, options)
    if dry_run:
        _tell_plan(kinds, as_json=as_json)
        return
    with output.progress_on_stderr() as progress:
        progress("sending the result")
        pushed = push_bundle(bundle, to, options)
    _tell_pushed(pushed, as_json=as_json)


def _tell_plan(kinds: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        output.say_json({"dry_run": True, "resources": kinds})
        return
    output.say(f"would send {sum(kinds.values())} resources; nothing was sent")
    output.say_fields(kinds)


def _tell_pushed(pushed: "PushResult", *, as_json: bool) -> None:
    if as_json:
        counts = {"created": pushed.created, "existing": pushed.existing, "updated": pushed.updated}
        output.say_json({"dry_run": False, **counts, "locations": list(pushed.locations)})
        return
    output.say(f"created {pushed.created}, already there {pushed.existing}, replaced {pushed.updated}")
    for location in pushed.locations:
        if location:
            output.say(location)
