"""What the resources say to people, always with the notice that it is research."""

from typing import Final

from tds_clinical.fhir.options import FhirOptions
from tds_data.report import RESEARCH_USE_NOTICE, Interval, Lesion, LesionReport, QualityFlag, Severity
from tds_data.vocabulary import REGION_NAMES, REGIONS, Region

SIGNED_NOTICE: Final = "Research use only. Not a medical device. Signed by the person named as interpreter."
"""The notice of results that somebody has signed."""

MODEL_NOTICE: Final = "Research use only. Not a medical device."
"""The notice of the model, which is the same whatever it is used on and whoever signs."""

PHANTOM_NOTICE: Final = "Synthetic phantom, not a patient."
"""Stands before everything said of a phantom."""


def notice(report: LesionReport, options: FhirOptions) -> str:
    """Return what must be said with every result.

    Args:
        report: What was found.
        options: Whether somebody signed.
    """
    words = RESEARCH_USE_NOTICE if options.signature is None else SIGNED_NOTICE
    return f"{PHANTOM_NOTICE} {words}" if report.phantom else words


def finding_words(report: LesionReport) -> tuple[str, ...]:
    """Return what was found, sentence by sentence.

    Args:
        report: What was found.
    """
    count = len(report.lesions)
    model = f"{report.model.name} {report.model.version}"
    found = {0: "no lesion; this does not exclude one", 1: "1 lesion"}.get(count, f"{count} lesions")
    total = f"Automatic segmentation by {model} found {found}."
    volumes = f"Volumes: {volume_words(report)}." if count else ""
    lesions = (f"Lesion {lesion.number}: {volume_words(lesion)}." for lesion in report.lesions)
    return tuple(
        sentence for sentence in (total, volumes, *(lesions if count > 1 else ()), _method(report)) if sentence
    )


def volume_words(found: LesionReport | Lesion) -> str:
    """Return the volume of each region in words, with its interval.

    Args:
        found: All lesions or one.
    """
    intervals = found.volume_interval_ml or {}
    return ", ".join(_one_volume(region, found.volume_ml[region], intervals.get(region)) for region in REGIONS)


def flag_words(flag: QualityFlag) -> str:
    """Return a finding of the quality gate as a sentence.

    Args:
        flag: The finding.
    """
    return f"Quality {flag.severity.value}, {flag.code}: {flag.message.rstrip('.')}."


def warning_words(report: LesionReport) -> tuple[str, ...]:
    """Return the findings of the quality gate that a reader of the conclusion must know.

    Args:
        report: What was found.
    """
    return tuple(flag_words(flag) for flag in report.quality if flag.severity is not Severity.INFO)


def _method(report: LesionReport) -> str:
    has_intervals = bool(report.lesions) and report.volume_interval_ml is not None
    return f"Intervals of volumes: {report.interval_method}." if has_intervals and report.interval_method else ""


def _one_volume(region: Region, volume_ml: float, interval: Interval | None) -> str:
    between = f" ({interval[0]:.2f} to {interval[1]:.2f} mL)" if interval else ""
    return f"{REGION_NAMES[region]} {volume_ml:.2f} mL{between}"
