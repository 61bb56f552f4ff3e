"""Puts what a report says together."""

from math import isclose
from typing import Final

from tds_clinical.errors import ReportError
from tds_clinical.reports.album import IN_FULL, Album
from tds_clinical.reports.change import change_since
from tds_clinical.reports.content import Content, Fact, Table
from tds_clinical.reports.figures import figures_at
from tds_clinical.reports.flags import flags_of
from tds_clinical.reports.language import Language
from tds_clinical.reports.lesion_parts import lesion_parts, lesions_table
from tds_clinical.reports.options import ReportOptions
from tds_clinical.reports.scene import MODALITY_NAMES
from tds_clinical.reports.wording import capitalised, moment, notices, region_name, summary, volume
from tds_data.report import LesionReport
from tds_data.vocabulary import MODALITIES, REGIONS, Region

_SHORT_HASH: Final = 12
_SAME: Final = 1e-6


def compose(report: LesionReport, album: Album, options: ReportOptions, language: Language) -> Content:
    """Return everything a report says.

    Args:
        report: What was found.
        album: The pictures.
        options: What else it says.
        language: What it is written in.

    Raises:
        ReportError: If the options are about another study.
    """
    _check(report, options)
    words = language.words
    title = words.title.format(case=report.case)
    is_phantom = report.phantom or (options.follow_up is not None and options.follow_up.is_phantom)
    return Content(
        tag=language.tag,
        title=words.phantom_title.format(title=title) if is_phantom else title,
        case=report.case,
        is_phantom=is_phantom,
        heading=tuple(Fact(term=term, text=text) for term, text in options.heading),
        notices=notices(report, language),
        phantom_notice=words.phantom_notice if is_phantom else "",
        made_at="" if options.made_at is None else moment(options.made_at),
        kind=words.kind,
        summary=summary(report, language),
        flags=flags_of(report.quality, language),
        volumes=_volumes(report, language) if report.lesions else (),
        interval_note=_interval_note(report, language),
        lesions_table=lesions_table(report, language) if report.lesions else None,
        lesions=lesion_parts(report, album, options.measurements, language),
        middle=() if report.lesions else figures_at(album, 0, language),
        picture_notes=_picture_notes(report, language),
        change=None if options.follow_up is None else change_since(options.follow_up, options.timeline, language),
        agreement=_agreement(report, language),
        agreement_note=words.phantom_agreement if report.phantom and report.dice is not None else "",
        making=_making(report, album, language),
        model_card=options.model_card or (),
        english_note="" if language.code == "en" else words.english_only,
    )


def _check(report: LesionReport, options: ReportOptions) -> None:
    known = {lesion.number for lesion in report.lesions}
    unknown = sorted({entry.lesion for entry in options.measurements} - known)
    if unknown:
        message = f"lesion {unknown[0]} was measured, but the report has {len(known)} lesion(s); measure this report's"
        raise ReportError(message)
    if options.follow_up is None or not options.follow_up.points:
        return
    latest = options.follow_up.points[-1].report
    for region in REGIONS:
        here, there = (entry.volume_ml.get(region, 0.0) for entry in (report, latest))
        if not isclose(here, there, rel_tol=_SAME, abs_tol=_SAME):
            message = (
                f"the last time point of the follow-up has {there:.2f} mL of {region} and the report {here:.2f}; "
                "give the follow-up that ends with this study"
            )
            raise ReportError(message)


def _title_of(region: Region, language: Language) -> str:
    return f"{capitalised(region_name(region, language))} ({region})"


def _volumes(report: LesionReport, language: Language) -> tuple[Fact, ...]:
    intervals = report.volume_interval_ml or {}
    return tuple(
        Fact(
            term=_title_of(region, language),
            text=volume(report.volume_ml.get(region, 0.0), intervals.get(region), language) + " mL",
        )
        for region in REGIONS
    )


def _interval_note(report: LesionReport, language: Language) -> str:
    has_any = report.volume_interval_ml is not None or any(o.volume_interval_ml is not None for o in report.lesions)
    if not has_any or not report.lesions:
        return ""
    words = language.words
    return words.interval_note.format(method=report.interval_method or words.none)


def _picture_notes(report: LesionReport, language: Language) -> tuple[str, ...]:
    words = language.words
    notes = (words.picture_note, words.grey_levels)
    count = len(report.lesions)
    return (*notes, words.largest_in_full.format(shown=IN_FULL, count=count)) if count > IN_FULL else notes


def _agreement(report: LesionReport, language: Language) -> Table | None:
    if report.dice is None:
        return None
    words = language.words
    return Table(
        caption=words.agreement,
        columns=(words.region, words.phantom_dice if report.phantom else words.dice),
        rows=tuple((_title_of(r, language), language.number(report.dice[r], 3)) for r in REGIONS if r in report.dice),
    )


def _making(report: LesionReport, album: Album, language: Language) -> tuple[Fact, ...]:
    words, model = language.words, report.model
    missing = [MODALITY_NAMES[m] for m in MODALITIES if m not in album.scene.images]
    facts = [
        (words.sequences_used, ", ".join(MODALITY_NAMES[m] for m in report.modalities)),
        (words.sequences_missing, ", ".join(missing) or words.none),
        (words.model, words.model_version.format(name=model.name, version=model.version)),
        (words.architecture, model.architecture),
        (words.licence, model.licence),
        (words.model_hash, model.sha256[:_SHORT_HASH]),
        (words.full_hash, model.sha256),
    ]
    if report.timings_s:
        times = (f"{stage} {language.number(seconds, 2)} s" for stage, seconds in report.timings_s.items())
        facts.append((words.time_taken, ", ".join(times)))
    return tuple(Fact(term=term, text=text) for term, text in facts)
