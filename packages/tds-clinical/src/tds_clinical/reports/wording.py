"""Numbers and sentences as a report prints them."""

from datetime import datetime
from typing import Final

from tds_clinical.reports.language import ENGLISH, Language
from tds_data.report import RESEARCH_USE_NOTICE, Interval, LesionReport, Point
from tds_data.vocabulary import REGIONS, Label, Region

_SMALLEST_ML: Final = 0.01
_ONE_DECIMAL_FROM_ML: Final = 1.0


def millilitres(volume_ml: float, language: Language = ENGLISH) -> str:
    """Return a volume without its unit, with as many decimals as it deserves.

    Args:
        volume_ml: Millilitres.
        language: What to write it in.

    Examples:
        >>> [millilitres(v) for v in (0.0, 0.004, 0.25, 84.16)]
        ['0', '< 0.01', '0.25', '84.2']
    """
    if volume_ml <= 0:
        return "0"
    if volume_ml < _SMALLEST_ML:
        return "< " + language.number(_SMALLEST_ML, 2)
    return language.number(volume_ml, 2 if volume_ml < _ONE_DECIMAL_FROM_ML else 1)


def volume(volume_ml: float, interval_ml: Interval | None, language: Language) -> str:
    """Return a volume and, in brackets, its interval if there is one.

    Args:
        volume_ml: Millilitres.
        interval_ml: The lower and the upper end, millilitres.
        language: What to write it in.

    Examples:
        >>> volume(84.16, (80.1, 88.04), ENGLISH)
        '84.2 (80.1 to 88.0)'
    """
    text = millilitres(volume_ml, language)
    if interval_ml is None:
        return text
    low, high = (millilitres(end, language) for end in interval_ml)
    return language.words.volume_with_interval.format(volume=text, low=low, high=high)


def place(point_mm: Point) -> str:
    """Return a place as whole millimetres along x, y and z.

    Args:
        point_mm: RAS+ millimetres.

    Examples:
        >>> place((-0.2, 12.6, -30.0))
        '0, 13, -30'
    """
    return ", ".join(str(round(c)) for c in point_mm)


def moment(when: datetime) -> str:
    """Return a date and time to the minute, the same in every language.

    Args:
        when: With or without a time zone.

    Examples:
        >>> from datetime import timezone
        >>> moment(datetime(2025, 3, 1, 9, 30, tzinfo=timezone.utc))
        '2025-03-01 09:30 UTC'
    """
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()


def region_name(region: Region, language: Language) -> str:
    """Return a region in words.

    Args:
        region: The region.
        language: What to write it in.
    """
    words = language.words
    return {Region.WT: words.whole_tumour, Region.TC: words.tumour_core, Region.ET: words.enhancing_tumour}[region]


def label_name(label: Label, language: Language) -> str:
    """Return a label in words.

    Args:
        label: One of the three labels of tumour.
        language: What to write it in.
    """
    words = language.words
    return {Label.NCR: words.necrotic_core, Label.ED: words.oedema, Label.ET: words.enhancing_label}[label]


def capitalised(text: str) -> str:
    """Return a text with a capital first letter and the rest as it is.

    Args:
        text: Such as a region's name; German nouns inside it keep their capitals.
    """
    return text[:1].upper() + text[1:]


def counted(count: int, language: Language) -> str:
    """Return how many lesions there are, in words.

    Args:
        count: The number, at least 1.
        language: What to write it in.
    """
    return language.words.one_lesion if count == 1 else language.words.many_lesions.format(count=count)


def summary(report: LesionReport, language: Language = ENGLISH) -> str:
    """Return the result in one sentence.

    Args:
        report: What was found.
        language: What to write it in.
    """
    words = language.words
    if not report.lesions:
        return words.nothing_found
    parts = [f"{region_name(r, language)} {millilitres(report.volume_ml.get(r, 0.0), language)} mL" for r in REGIONS]
    count = len(report.lesions)
    sentence = words.one_found if count == 1 else words.many_found
    return sentence.format(count=count, volumes=words.of_which.join(parts))


def notices(report: LesionReport, language: Language) -> tuple[str, ...]:
    """Return the research-use notice in the language and, where that reads otherwise, as the report has it.

    A report without a notice gets the English one, so none is ever missing.

    Args:
        report: What was found.
        language: What to write it in.
    """
    own, original = language.words.notice, report.notice.strip() or RESEARCH_USE_NOTICE
    return (own,) if original == own else (own, original)
