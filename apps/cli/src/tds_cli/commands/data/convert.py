"""`tds data convert`: one layout into another."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs, output
from tds_cli.commands.data.index import Layout, Strict, Workers
from tds_cli.options import AsJson, Verbose


class TargetLayout(StrEnum):
    """A layout that can be written."""

    NNUNET = "nnunet"
    DECATHLON = "decathlon"
    BRATS = "brats"
    BIDS = "bids"


Source = Annotated[Path, typer.Argument(metavar="SRC", help="The data set's top folder, or its manifest.")]
Target = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder to make; complete or absent.")]
To = Annotated[TargetLayout, typer.Option("--to", help="Layout to write.")]
SourceScheme = Annotated[
    str | None, typer.Option("--source-scheme", help="Label scheme of the masks in SRC; found out by default.")
]
TargetScheme = Annotated[
    str | None, typer.Option("--scheme", help="Label scheme to write; the usual one of the layout by default.")
]
Sequences = Annotated[
    str | None, typer.Option("--sequences", metavar="NAMES", help="Images to keep, such as t1ce,flair; all by default.")
]
Link = Annotated[bool, typer.Option("--link", help="Link files that stay as they are instead of copying them.")]


def convert(  # noqa: PLR0913  # a command's parameters are its options
    source: Source,
    *,
    out: Target,
    to: To,
    layout: Layout = None,
    source_scheme: SourceScheme = None,
    scheme: TargetScheme = None,
    sequences: Sequences = None,
    link: Link = False,
    strict: Strict = False,
    workers: Workers = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Write a data set in another layout, without loss: voxels, places and the meaning of labels stay the same."""
    logs.set_verbosity(verbose=verbose)
    from tds_cli.dataset_summary import open_dataset, say_conversion  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_data.datasets import ConvertOptions, convert_dataset  # noqa: PLC0415  # as above

    kept = None if sequences is None else tuple(name.strip().lower() for name in sequences.split(","))
    options = ConvertOptions(sequences=kept, link=link, workers=workers)
    with output.progress_on_stderr() as progress:

        def show(done: int, total: int, what: str) -> None:
            progress(f"{what} {done} of {total}")

        manifest = open_dataset(
            source, layout=layout, scheme=source_scheme, strict=strict, workers=workers, progress=show
        )
        done = convert_dataset(manifest, out, to, scheme=scheme, options=options, progress=show)
    say_conversion(done, manifest, as_json=as_json)
