"""`tds segment`: a study becomes a mask, a report and pictures."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tds_cli import logs, output
from tds_cli.options import (
    AsJson,
    Device,
    MaxRam,
    ModelFolder,
    OnDevice,
    Trust,
    Verbose,
    parse_day,
    parse_max_ram,
    parse_series,
    parse_trust,
)
from tds_data.vocabulary import Modality

if TYPE_CHECKING:
    from tds_cli.following import PointRequest


class Language(StrEnum):
    """What reports are written in: English, German or Spanish."""

    EN = "en"
    DE = "de"
    ES = "es"


Input = Annotated[
    Path, typer.Argument(metavar="INPUT", help="Folder of images (NIfTI, NRRD, MetaImage) or DICOM, or one image.")
]
Out = Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help="Folder to make for the result.")]
Reference = Annotated[Path | None, typer.Option("--reference", help="Expert mask to compare with.")]
OfModality = Annotated[Modality | None, typer.Option("--modality", help="What a single file holds.")]
Series = Annotated[
    list[str] | None, typer.Option("--series", metavar="MODALITY=SERIES", help="DICOM series (number or UID) to use.")
]
Resample = Annotated[
    bool,
    typer.Option("--resample", help="Resample tilted or unevenly spaced DICOM slices to a box; refused otherwise."),
]
Prepare = Annotated[
    bool | None,
    typer.Option(
        "--prepare/--no-prepare",
        help="Register the sequences and strip the skull first, or not; by default DICOM is prepared if it needs it.",
    ),
]
InSpace = Annotated[
    Modality | None,
    typer.Option("--space", help="Sequence on whose own grid the mask lies, for raw studies and DICOM; T1ce if there."),
]
Pdf = Annotated[bool, typer.Option("--pdf", help="Write report.pdf, too; always done for DICOM.")]
InLanguage = Annotated[Language, typer.Option("--language", help="Language of the reports.")]
Template = Annotated[Path | None, typer.Option("--template", help="Your own Jinja template for report.html.")]
PdfTemplate = Annotated[Path | None, typer.Option("--pdf-template", help="Your own Jinja template for report.pdf.")]
Font = Annotated[
    Path | None, typer.Option("--font", help="TrueType file for report.pdf, for letters beyond Western European ones.")
]
LabelMap = Annotated[bool, typer.Option("--labelmap", help="Write the DICOM segmentation as a label map.")]
Reproducible = Annotated[
    bool, typer.Option("--reproducible", help="DICOM identifiers and times from the study, the mask and the model.")
]
Prior = Annotated[
    tuple[str, Path, Path] | None,
    typer.Option(
        "--prior",
        metavar="DATE STUDY RESULT",
        help="An earlier study of the patient and its result, to say what changed.",
    ),
]
OnDay = Annotated[str | None, typer.Option("--date", metavar="DATE", help="Day of this study; DICOM says it itself.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result in OUT.")]


def segment(  # noqa: PLR0913  # a command's parameters are its options
    study: Input,
    *,
    out: Out,
    reference: Reference = None,
    modality: OfModality = None,
    series: Series = None,
    resample: Resample = False,
    prepare: Prepare = None,
    space: InSpace = None,
    pdf: Pdf = False,
    language: InLanguage = Language.EN,
    template: Template = None,
    pdf_template: PdfTemplate = None,
    font: Font = None,
    labelmap: LabelMap = False,
    reproducible: Reproducible = False,
    prior: Prior = None,
    date: OnDay = None,
    overwrite: Overwrite = False,
    model: ModelFolder = None,
    trust: Trust = None,
    device: OnDevice = Device.CPU,
    max_ram: MaxRam = None,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Segment the tumour in one study.

    Image files of T1, T1ce, T2 and FLAIR, or some of them, are expected registered and skull-stripped, unless --prepare
    is given. A DICOM study is registered and stripped where it needs it, and the result comes as DICOM and FHIR, too.
    """
    start = time.perf_counter()
    logs.set_verbosity(verbose=verbose)
    trusted, max_bytes, chosen = parse_trust(trust), parse_max_ram(max_ram), parse_series(series)
    from tds_cli.model import ModelRequest  # noqa: PLC0415  # keeps `tds --help` quick
    from tds_cli.pipeline import SegmentRequest, segment_to  # noqa: PLC0415  # as above
    from tds_cli.results import ResultOptions  # noqa: PLC0415  # as above
    from tds_cli.study import StudyRequest  # noqa: PLC0415  # as above
    from tds_cli.summary import tell_result  # noqa: PLC0415  # as above

    request = SegmentRequest(
        study=StudyRequest(path=study, reference=reference, modality=modality, series=chosen, resample=resample),
        model=ModelRequest(folder=model, trusted=trusted, device=device),
        max_bytes=max_bytes,
        space=space,
        prepare=prepare,
        prior=parse_prior(prior),
        when=None if date is None else parse_day(date, "--date"),
        result=ResultOptions(
            pdf=pdf,
            language=language.value,
            template=template,
            pdf_template=pdf_template,
            font=font,
            labelmap=labelmap,
            reproducible=reproducible,
        ),
    )
    with output.progress_on_stderr() as progress:
        report = segment_to(out, request, overwrite=overwrite, progress=progress)
    tell_result(report, out, total_s=time.perf_counter() - start, as_json=as_json)


def parse_prior(values: tuple[str, Path, Path] | None) -> "PointRequest | None":
    """Return the earlier time point, checked as far as that goes without reading it.

    Args:
        values: Date, study and result, as given on the command line.

    Raises:
        UsageFault: If the date is none, or a folder or a file of the result is missing.
        ClinicalDependency: If matplotlib, which draws the course, is not installed.
    """
    if values is None:
        return None
    from tds_cli.following import PointRequest, check_drawing, check_point  # noqa: PLC0415  # few results have a prior

    day, study, result = values
    point = PointRequest(when=parse_day(day, "--prior"), study=study, result=result)
    check_point(point)
    check_drawing()
    return point
