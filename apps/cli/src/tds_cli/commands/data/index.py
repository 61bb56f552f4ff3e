"""`tds data index`: which files make up which case."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose


class SourceLayout(StrEnum):
    """A layout that can be read."""

    DECATHLON = "decathlon"
    NNUNET = "nnunet"
    BIDS = "bids"
    HECKTOR = "hecktor"
    LITS = "lits"
    BRATS = "brats"
    FOLDERS = "folders"


Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The data set's top folder.")]
Written = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Manifest to write; only a summary otherwise.")
]
Layout = Annotated[
    SourceLayout | None, typer.Option("--layout", help="How the files are named; recognised by default.")
]
Scheme = Annotated[
    str | None, typer.Option("--scheme", help="Label scheme of the masks, such as brats-2021; found out by default.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Refuse a data set with a case that cannot be taken.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Files at a time; one for each core by default.")
]


def index(  # noqa: PLR0913  # a command's parameters are its options
    folder: Folder,
    *,
    out: Written = None,
    layout: Layout = None,
    scheme: Scheme = None,
    strict: Strict = False,
    workers: Workers = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Recognise a data set's layout, hash its files and write a manifest of its cases."""
    logs.set_verbosity(verbose=verbose)
    from tds_cli.dataset_summary import say_summary, summary  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.target_file import check_target_file  # noqa: PLC0415  # as above
    from tds_data.datasets import index_dataset, read_manifest, write_manifest  # noqa: PLC0415  # as above

    if not folder.is_dir():
        message = f"there is no folder {str(folder)!r}; check the path"
        raise UsageFault(message)
    if out is not None:
        check_target_file(out, what="manifest", read=read_manifest)
    with output.progress_on_stderr() as progress:
        manifest = index_dataset(
            folder,
            layout=layout,
            scheme=scheme,
            strict=strict,
            workers=workers,
            progress=lambda done, total, what: progress(f"{what} {done} of {total} files"),
        )
    if out is not None:
        write_manifest(manifest, out)
    if as_json:
        output.say_json({"output": None if out is None else str(out), **summary(manifest)})
        return
    say_summary(manifest)
    if out is not None:
        output.say(f"written to {out}")
