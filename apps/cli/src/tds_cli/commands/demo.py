"""`tds demo`: everything at work on a made-up patient, without any data."""

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.options import AsJson, Verbose

Out = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make for phantom and result.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Which phantom patient to make.")]

_DEFAULT_OUT: Final = Path("tds-demo")
_DEFAULT_SEED: Final = 7


def demo(
    *,
    out: Out = _DEFAULT_OUT,
    seed: Seed = _DEFAULT_SEED,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Segment a made-up patient; needs no data.

    A phantom is made, written as files, segmented like any study and compared with its own truth.
    """
    start = time.perf_counter()
    logs.set_verbosity(verbose=verbose)
    from tds_cli.demonstration import demonstrate  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.summary import tell_result  # noqa: PLC0415  # as above

    with output.progress_on_stderr() as progress:
        report = demonstrate(out, seed=seed, progress=progress)
    tell_result(report, out, total_s=time.perf_counter() - start, as_json=as_json)
    if not as_json:
        output.say(f"open {out / 'report.html'} in a browser; the phantom itself is in {out / 'phantom'}")
