"""`tds data prepare` and `tds data restore`: from a raw study to a prepared one, and masks back."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tds_cli import logs, output
from tds_cli.errors import UsageFault
from tds_cli.options import AsJson, Verbose, parse_series
from tds_data.vocabulary import Modality

Input = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of a raw study, or one image.")]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder to make; complete or absent.")]
Atlas = Annotated[bool, typer.Option("--atlas", help="Bring the study to the ICBM152 atlas, 1 mm.")]
Bias = Annotated[bool, typer.Option("--n4", help="Take out uneven brightness by N4.")]
Deface = Annotated[bool, typer.Option("--deface", help="Also write the raw images without faces, to OUT/defaced.")]
Accurate = Annotated[bool, typer.Option("--accurate", help="Strip the skull by five networks instead of one.")]
TrustHeaders = Annotated[
    bool, typer.Option("--trust-headers", help="Take the sequences to lie where their headers say; do not register.")
]
Reference = Annotated[Path | None, typer.Option("--reference", help="Expert mask to carry along.")]
OfModality = Annotated[Modality | None, typer.Option("--modality", help="What a single file holds.")]
Series = Annotated[
    list[str] | None, typer.Option("--series", metavar="MODALITY=SERIES", help="DICOM series (number or UID) to use.")
]

Mask = Annotated[Path, typer.Argument(metavar="MASK", help="Mask on the prepared study's grid.")]
Prepared = Annotated[Path, typer.Option("--study", metavar="DIR", help="The prepared study, or its transforms.json.")]
OutFile = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File to make, .nii.gz or .nii.")]
Sequence = Annotated[
    Modality | None,
    typer.Option("--sequence", help="Whose grid the mask goes to; the reference sequence's by default."),
]


class Rule(StrEnum):
    """How labels travel between grids."""

    REGIONS = "regions"
    NEAREST = "nearest"


ByRule = Annotated[
    Rule,
    typer.Option("--rule", help="regions: tumour labels by the share of a voxel they fill; nearest: any labels."),
]


def prepare(  # noqa: PLR0913  # a command's parameters are its options
    study: Input,
    *,
    out: Out,
    atlas: Atlas = False,
    bias: Bias = False,
    deface: Deface = False,
    accurate: Accurate = False,
    trust_headers: TrustHeaders = False,
    reference: Reference = None,
    modality: OfModality = None,
    series: Series = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Register the sequences of a raw study to T1ce, strip the skull, and keep the way back.

    OUT can be segmented, and `tds data restore` brings masks back to each sequence's own grid.
    """
    logs.set_verbosity(verbose=verbose)
    chosen = parse_series(series)
    from tds_cli.preparation import (  # noqa: PLC0415  # keeps `tds --help` quick
        PrepareOptions,
        prepare_study,
        say_preparation,
        write_prepared,
    )
    from tds_cli.study import StudyRequest, check_request, read_raw_study  # noqa: PLC0415  # as above
    from tds_data.atomic import atomic_folder, check_target  # noqa: PLC0415  # as above

    request = StudyRequest(path=study, reference=reference, modality=modality, series=chosen)
    check_request(request)
    inputs = [path for path in (study, reference) if path is not None]
    check_target(out, protected=inputs)
    options = PrepareOptions(atlas=atlas, bias=bias, deface=deface, accurate=accurate, trust_headers=trust_headers)
    with output.progress_on_stderr() as progress, atomic_folder(out, protected=inputs) as folder:
        progress("reading the study")
        raw = read_raw_study(request)
        prepared = prepare_study(raw, options, progress=progress)
        progress("writing the prepared study")
        document = write_prepared(folder, raw, prepared, options)
    if as_json:
        output.say_json({"output": str(out), "preparation": document})
    else:
        say_preparation(document, out)


def restore(  # noqa: PLR0913  # a command's parameters are its options
    mask: Mask,
    *,
    study: Prepared,
    out: OutFile,
    sequence: Sequence = None,
    rule: ByRule = Rule.REGIONS,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Bring a mask of a prepared study back to the grid that a sequence had before."""
    logs.set_verbosity(verbose=verbose)
    for path in (mask, study):
        if not path.exists():
            message = f"there is no file or folder {str(path)!r}; check the path"
            raise UsageFault(message)
    if out.exists():
        message = f"{str(out)!r} exists; choose another name, nothing is replaced"
        raise UsageFault(message)
    from tds_cli.preparation import TRANSFORMS_NAME  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_data.nifti import read_volume, write_volume  # noqa: PLC0415  # as above
    from tds_data.raw.plan import MaskRule, load_plan, to_native  # noqa: PLC0415  # as above

    plan = load_plan(study / TRANSFORMS_NAME if study.is_dir() else study)
    native = to_native(read_volume(mask), plan, sequence, rule=MaskRule(rule))
    write_volume(out, native)
    whose = sequence or plan.reference
    if as_json:
        output.say_json({"output": str(out), "sequence": whose.value, "shape": list(native.shape)})
    else:
        output.say(f"{out}: on the grid of {whose}, {' x '.join(map(str, native.shape))} voxels")
