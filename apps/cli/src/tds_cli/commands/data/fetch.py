"""`tds data fetch`: a data set from its publisher."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose, parse_sha256

if TYPE_CHECKING:
    from tds_data.curation import Fetched, Release


class Publication(StrEnum):
    """A data set that can be fetched."""

    DECATHLON = "decathlon"


Dataset = Annotated[
    Publication, typer.Argument(metavar="DATASET", help="decathlon: the Medical Segmentation Decathlon.")
]
Target = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder that receives the data set's folder.")
]
Task = Annotated[str, typer.Option("--task", metavar="NAME", help="Which task, Task01_BrainTumour to Task10_Colon.")]
Accepts = Annotated[bool, typer.Option("--accept-licence", help="Say that you have read the licence and accept it.")]
BaseUrl = Annotated[
    str | None,
    typer.Option("--base-url", metavar="URL", help="Folder with a copy of the archive, if not the publisher's."),
]
Sha256 = Annotated[
    str | None, typer.Option("--sha256", metavar="HASH", help="Refuse an archive with another SHA-256 than this.")
]
KeepArchive = Annotated[bool, typer.Option("--keep-archive", help="Keep the archive once it is unpacked.")]


def fetch(  # noqa: PLR0913  # a command's parameters are its options
    _dataset: Dataset,
    *,
    out: Target,
    task: Task = "Task01_BrainTumour",
    accept_licence: Accepts = False,
    base_url: BaseUrl = None,
    sha256: Sha256 = None,
    keep_archive: KeepArchive = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Bring a data set from its publisher, or go on where an earlier run was interrupted.

    The licence is shown first, and nothing is brought before it is accepted.
    """
    logs.set_verbosity(verbose=verbose)
    from urllib.request import getproxies  # noqa: PLC0415  # keeps `tds --help` quick

    from tds_data.curation import DECATHLON, FetchOptions, TransferOptions  # noqa: PLC0415  # as above
    from tds_data.curation.fetch import fetch as bring  # noqa: PLC0415  # as above

    if task not in DECATHLON:
        message = f"the Decathlon has no {task[:80]!r}; choose one of {', '.join(DECATHLON)}"
        raise UsageFault(message)
    release = DECATHLON[task]
    if not as_json:
        output.say(release.notice)
    options = FetchOptions(
        accepts_licence=accept_licence,
        base_url=base_url,
        sha256=None if sha256 is None else parse_sha256(sha256, "--sha256"),
        keeps_archive=keep_archive,
        transfer=TransferOptions(proxies=tuple(getproxies().items())),
    )
    with output.progress_on_stderr() as progress:
        fetched = bring(release, out, options, progress=lambda _done, _total, what: progress(what))
    if as_json:
        output.say_json(_document(release, fetched))
    else:
        _say(fetched)


def _document(release: "Release", fetched: "Fetched") -> dict[str, Any]:
    return {
        "name": release.name,
        "folder": str(fetched.folder),
        "record": str(fetched.record),
        "md5": fetched.md5,
        "sha256": fetched.sha256,
        "size_bytes": fetched.size_bytes,
        "was_there": fetched.was_there,
        "licence": release.licence.name,
        "licence_url": release.licence.url,
        "citation": release.citation,
        "notes": list(fetched.notes),
    }


def _say(fetched: "Fetched") -> None:
    output.say()
    output.say(f"{'was there already' if fetched.was_there else 'fetched'}: {fetched.folder}")
    output.say(f"MD5 as published; SHA-256 {fetched.sha256}")
    for note in fetched.notes:
        output.say(f"  {note}")
    output.say(f"next: tds data index {fetched.folder}")
