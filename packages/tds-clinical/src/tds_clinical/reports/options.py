"""What can be set in the reports for people."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from tds_clinical.followup.model import FollowUp
from tds_clinical.measurement import LesionMeasurement

LanguageCode = Literal["en", "de", "es"]
"""A language that reports are written in: English, German or Spanish."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOptions:
    """What a report says beside the findings, and how.

    Attributes:
        language: Language of the report; messages of the quality checks stay English.
        template: A Jinja file of the hospital's that makes the body of the HTML report; `None` for the built-in one.
        pdf_template: A Jinja file of the hospital's that makes the pages of the PDF report; `None` for the built-in
            layout.
        heading: Lines at the top of every document, each a term and a text, such as the patient's name for filing.
            This is the only place at which a report names a patient; pictures never hold it.
        measurements: Diameters of the lesions.
        follow_up: What changed since earlier time points; its last time point is the study of the report.
        timeline: PNG or JPEG picture of the course over time, shown with `follow_up`.
        model_card: The model in two lines: what it is and was trained on, and what it is not for.
        made_at: When the report was made; `None` leaves the date out, and equal findings then give equal bytes.
        font: A TrueType file with the letters of the texts, for the PDF of texts beyond Western European ones.
    """

    language: LanguageCode = "en"
    template: Path | None = None
    pdf_template: Path | None = None
    heading: tuple[tuple[str, str], ...] = ()
    measurements: tuple[LesionMeasurement, ...] = ()
    follow_up: FollowUp | None = None
    timeline: bytes | None = None
    model_card: tuple[str, str] | None = None
    made_at: datetime | None = None
    font: Path | None = None
