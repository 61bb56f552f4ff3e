"""The HTML report: one self-contained file without scripts or outside requests."""

import base64
import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from tds_clinical.errors import ReportError
from tds_clinical.reports.overlay import PICTURED_LESIONS
from tds_clinical.reports.paint import LABEL_COLOURS, LABEL_NAMES
from tds_clinical.reports.scene import MODALITY_NAMES, READING_ORDER, Scene, Stop, make_scene, stops
from tds_clinical.reports.strips import strip
from tds_clinical.reports.wording import millilitres, place, summary
from tds_data.case import Case
from tds_data.report import LesionReport, QualityFlag, Severity
from tds_data.vocabulary import MODALITIES, REGION_NAMES, REGIONS
from tds_data.volume import Volume

_TILE_PX: Final = 384
_JPEG_QUALITY: Final = 85
_SHORT_HASH: Final = 12
_WEIGHT: Final = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One sequence's three planes at one place.

    Attributes:
        sequence: Name of the sequence.
        plain: Data URL of the picture alone.
        outlined: Data URL of the picture with the labels, or `None` if there is nothing to outline.
        alt: What the picture shows, in words.
    """

    sequence: str
    plain: str
    outlined: str | None
    alt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The figures of one place.

    Attributes:
        title: Heading.
        figures: One for each sequence, in reading order.
    """

    title: str
    figures: tuple[Figure, ...]


def render_html(case: Case, mask: Volume, report: LesionReport) -> str:
    """Return the report as one HTML document that needs nothing else.

    Args:
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.

    Raises:
        ReportError: If the mask is not on the case's grid or holds other labels.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    environment = _environment()
    style = environment.get_template("report.css.j2").render(colours=_css_colours())
    digest = hashlib.sha256(style.encode()).digest()
    return environment.get_template("report.html.j2").render(
        report=report,
        style=style,
        style_hash=base64.b64encode(digest).decode("ascii"),
        summary=summary(report),
        quality=_by_weight(report.quality),
        legend=[(label.name, LABEL_NAMES[label]) for label in LABEL_COLOURS],
        sections=_sections(case, mask, report),
        pictured=PICTURED_LESIONS,
        used=[MODALITY_NAMES[m] for m in report.modalities],
        missing=[MODALITY_NAMES[m] for m in MODALITIES if m not in case.images],
        regions=REGIONS,
        region_names=REGION_NAMES,
        short_hash=report.model.sha256[:_SHORT_HASH],
    )


def write_html(path: Path, case: Case, mask: Volume, report: LesionReport) -> None:
    """Write the report as one HTML file.

    Args:
        path: The file; replaced if it exists.
        case: The sequences that were segmented, on the study's grid.
        mask: Labels 0 to 3 on the same grid.
        report: What was found.

    Raises:
        ReportError: If the mask does not fit the case or the file cannot be written.
        VoxelError: If an image holds NaN or infinities or is constant.
    """
    document = render_html(case, mask, report)
    try:
        path.write_text(document, encoding="utf-8", newline="\n")
    except OSError as error:
        message = (
            f"cannot write the report {path.name!r}: {error.strerror or error}; choose a folder that can be written"
        )
        raise ReportError(message) from error


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = PackageLoader("tds_clinical.reports", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["ml"] = millilitres
    environment.filters["place"] = place
    return environment


def _css_colours() -> dict[str, str]:
    return {label.name.lower(): "#{:02x}{:02x}{:02x}".format(*colour) for label, colour in LABEL_COLOURS.items()}


def _by_weight(flags: tuple[QualityFlag, ...]) -> list[QualityFlag]:
    return sorted(flags, key=lambda flag: _WEIGHT[flag.severity])


def _sections(case: Case, mask: Volume, report: LesionReport) -> list[Section]:
    scene = make_scene(case, mask, report)
    places = stops(scene, report.lesions[:PICTURED_LESIONS], size_px=_TILE_PX)
    return [Section(title=_title(stop), figures=tuple(_figures(scene, stop))) for stop in places]


def _title(stop: Stop) -> str:
    return "Middle of the head" if stop.lesion is None else f"Lesion {stop.lesion.number}"


def _figures(scene: Scene, stop: Stop) -> list[Figure]:
    found = any(paint is not None for paint in stop.paints)
    where = "the middle of the head"
    if stop.lesion is not None:
        where = f"lesion {stop.lesion.number} at x, y, z = {place(stop.lesion.centroid_mm)} mm"
    figures = []
    for modality in (m for m in READING_ORDER if m in scene.images):
        name = MODALITY_NAMES[modality]
        figures.append(
            Figure(
                sequence=name,
                plain=_data_url(strip(scene, modality, stop, outlined=False)),
                outlined=_data_url(strip(scene, modality, stop, outlined=True)) if found else None,
                alt=f"{name}: axial, coronal and sagittal planes through {where}",
            )
        )
    return figures


def _data_url(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    # Full colour resolution: halved chroma would smear the one-pixel outlines.
    picture.save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
