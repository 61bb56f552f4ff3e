"""`tds data cache`: preprocessed cases on disk, for training."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tds_cli import logs, output
from tds_cli.commands.data.index import Layout, Scheme
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose

if TYPE_CHECKING:  # keeps `tds --help` quick
    from tds_data.cache import Cache


class OnDamage(StrEnum):
    """What to do about a case that cannot be used."""

    REFUSE = "refuse"
    SKIP = "skip"


Source = Annotated[Path, typer.Argument(metavar="SRC", help="The data set's manifest, or its top folder.")]
Target = Annotated[Path, typer.Option("--output", "-o", metavar="CACHE", help="Folder of the cache; made if needed.")]
Spacing = Annotated[float, typer.Option("--spacing", metavar="MM", help="Edge of the voxels, in millimetres.")]
Workers = Annotated[int, typer.Option("--workers", min=1, metavar="N", help="Cases in work at the same time.")]
Damage = Annotated[
    OnDamage, typer.Option("--on-damage", help="End at a case that cannot be used, or leave it out and say so.")
]
Others = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="TISSUE=N", help="Label 0 to 3 of a tissue without one, such as RC=0; repeatable."),
]

_LABELS: Final = frozenset("0123")


def cache(  # noqa: PLR0913  # a command's parameters are its options
    source: Source,
    *,
    out: Target,
    spacing: Spacing = 1.0,
    workers: Workers = 2,
    on_damage: Damage = OnDamage.REFUSE,
    others: Others = None,
    layout: Layout = None,
    scheme: Scheme = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Preprocess every case once and store it for fast loading; what is there and right is kept."""
    logs.set_verbosity(verbose=verbose)
    labels = _parse_labels(others)
    if not 0 < spacing < float("inf"):
        message = f"--spacing takes a number of millimetres above 0; {spacing:g} was given"
        raise UsageFault(message)
    from tds_cli.dataset_summary import open_dataset  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_data.cache import CacheConfig, DamagePolicy, build_cache  # noqa: PLC0415  # as above
    from tds_data.preprocess import PreprocessConfig  # noqa: PLC0415  # as above

    config = CacheConfig(preprocess=PreprocessConfig(spacing_mm=spacing), others=labels)
    with output.progress_on_stderr() as progress:

        def show(done: int, total: int, what: str) -> None:
            progress(f"{what}: {done} of {total}")

        manifest = open_dataset(
            source,
            layout=layout,
            scheme=scheme,
            strict=on_damage is OnDamage.REFUSE,
            workers=workers,
            progress=show,
        )
        made = build_cache(manifest, out, config, workers=workers, policy=DamagePolicy(on_damage.value), progress=show)
    if as_json:
        output.say_json({**_document(made, spacing), "problems": list(manifest.problems)})
    else:
        _say(made, manifest.problems)


def _parse_labels(choices: list[str] | None) -> dict[str, int]:
    labels = {}
    for text in choices or ():
        tissue, _, label = text.partition("=")
        if not tissue.strip() or label.strip() not in _LABELS:
            message = f"--label takes TISSUE=N with a label of 0 to 3, such as RC=0; {text[:80]!r} was given"
            raise UsageFault(message)
        labels[tissue.strip()] = int(label)
    return labels


def _document(made: "Cache", spacing_mm: float) -> dict[str, Any]:
    return {
        "output": str(made.folder),
        "spacing_mm": spacing_mm,
        "cases": [case.name for case in made.cases],
        "unlabelled": [case.name for case in made.cases if not case.labelled],
        "built": made.built,
        "skipped": [{"name": s.name, "error": s.error, "reason": s.reason} for s in made.skipped],
        "phantoms": sum(case.phantom for case in made.cases),
        "size_bytes": made.nbytes,
        "manifest_digest": made.manifest_digest,
        "config_digest": made.config_digest,
    }


def _say(made: "Cache", problems: tuple[str, ...]) -> None:
    kept = len(made.cases) - made.built
    output.say(f"{len(made.cases)} cases ({made.built} made, {kept} kept), {made.nbytes / 1e6:.0f} MB")
    unlabelled = sum(not case.labelled for case in made.cases)
    if unlabelled:
        output.say(f"{unlabelled} of them have no mask and give no patches for training")
    for skipped in made.skipped:
        output.say(f"left out {skipped.name}: {skipped.reason}")
    for problem in problems:
        output.say(f"not indexed: {problem}")
    output.say(f"written to {made.folder}")
