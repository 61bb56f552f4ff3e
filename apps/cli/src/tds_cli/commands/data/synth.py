"""`tds data synth`: made-up patients with the exact truth."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tds_cli import logs, output
from tds_cli.commands.data.convert import TargetLayout
from tds_cli.options import AsJson, Verbose

if TYPE_CHECKING:
    from tds_data.datasets import Manifest


class Kind(StrEnum):
    """What tumours phantoms have."""

    MIXED = "mixed"
    HIGH_GRADE = "high-grade"
    LOW_GRADE = "low-grade"
    RESECTED = "resected"


class Field(StrEnum):
    """Field strength in tesla."""

    LOW = "1.5"
    HIGH = "3"


_SPACING_MM: Final = 1.0

Out = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder to make; complete or absent.")]
Count = Annotated[int, typer.Option("-n", "--count", min=1, help="How many phantoms.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the first; the others follow it.")]
To = Annotated[TargetLayout, typer.Option("--layout", help="Layout to write.")]
KindOption = Annotated[Kind, typer.Option("--kind", help="What tumours they have.")]
Spacing = Annotated[
    float, typer.Option("--spacing", metavar="MM", min=0.5, max=4.0, help="Edge of the voxels, 0.5 to 4 mm.")
]
Skull = Annotated[bool, typer.Option("--skull", help="Keep the skull and the scalp.")]
Missing = Annotated[bool, typer.Option("--missing", help="Leave out sequences of about every other phantom.")]
Thick = Annotated[bool, typer.Option("--thick", help="Measure every sequence in thick slices.")]
Motion = Annotated[bool, typer.Option("--motion", help="Let every patient move.")]
FieldOption = Annotated[Field | None, typer.Option("--field", metavar="TESLA", help="1.5 or 3; either by default.")]
Cavity = Annotated[bool, typer.Option("--cavity-label", help="Number resection cavities 4, as BraTS 2024 does.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Phantoms at a time; one for each core by default.")
]


def synth(  # noqa: PLR0913  # a command's parameters are its options
    *,
    out: Out,
    count: Count = 1,
    seed: Seed = 0,
    layout: To = TargetLayout.BRATS,
    kind: KindOption = Kind.MIXED,
    spacing_mm: Spacing = _SPACING_MM,
    skull: Skull = False,
    missing: Missing = False,
    thick: Thick = False,
    motion: Motion = False,
    field: FieldOption = None,
    cavity_label: Cavity = False,
    workers: Workers = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Make phantom patients and write them as a data set; the same seed gives the same voxels everywhere."""
    logs.set_verbosity(verbose=verbose)
    from tds_data.phantoms import PhantomSet, TumourKind, write_phantoms  # noqa: PLC0415  # keeps `tds --help` quick

    wanted = PhantomSet(
        count=count,
        seed=seed,
        layout=layout,
        kind=None if kind is Kind.MIXED else TumourKind(kind),
        spacing_mm=spacing_mm,
        with_skull=skull,
        missing=missing,
        thick_slices=thick or None,
        motion=motion,
        tesla=None if field is None else float(field),
        cavity_label=cavity_label,
    )
    with output.progress_on_stderr() as progress:
        manifest = write_phantoms(
            out, wanted, workers=workers, progress=lambda done, total, what: progress(f"{what} {done} of {total}")
        )
    _tell(manifest, out, as_json=as_json)


def _tell(manifest: "Manifest", out: Path, *, as_json: bool) -> None:
    names = [case.name for case in manifest.cases]
    if as_json:
        document = {"output": str(out), "phantom": True, "layout": manifest.layout, "cases": names}
        output.say_json({**document, "scheme": manifest.scheme, "digest": manifest.digest})
        return
    kinds = ", ".join(sorted({case.attributes.get("kind", "") for case in manifest.cases} - {""}))
    output.say(f"{len(names)} phantoms ({kinds}) written to {out} in the layout {manifest.layout}")
    output.say("Made-up patients for research use only: a figure measured on them says nothing about people.")
