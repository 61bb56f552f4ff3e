"""What a report says of each lesion."""

from collections.abc import Mapping, Sequence

from tds_clinical.measurement import Diameters, LesionMeasurement
from tds_clinical.reports.album import IN_FULL, Album
from tds_clinical.reports.content import Fact, LesionPart, Table
from tds_clinical.reports.figures import figures_at
from tds_clinical.reports.language import Language
from tds_clinical.reports.wording import capitalised, place, region_name, volume
from tds_data.report import Lesion, LesionReport
from tds_data.vocabulary import REGIONS, Region


def lesions_table(report: LesionReport, language: Language) -> Table:
    """Return the table of all lesions.

    Args:
        report: What was found.
        language: What to write it in.
    """
    words = language.words
    return Table(
        caption=words.lesions,
        columns=(
            words.lesion,
            *(words.region_volume_ml.format(region=region) for region in REGIONS),
            words.longest_in_3d_mm,
            words.centre_mm,
        ),
        rows=tuple(
            (
                str(lesion.number),
                *(_volume(lesion, region, language) for region in REGIONS),
                language.number(lesion.longest_diameter_mm, 1),
                place(lesion.centroid_mm),
            )
            for lesion in report.lesions
        ),
    )


def lesion_parts(
    report: LesionReport, album: Album, measurements: Sequence[LesionMeasurement], language: Language
) -> tuple[LesionPart, ...]:
    """Return what is said of each lesion, in the report's order.

    Args:
        report: What was found.
        album: The pictures.
        measurements: Diameters, in any order.
        language: What to write it in.
    """
    measured = {entry.lesion: entry.diameters for entry in measurements}
    return tuple(
        LesionPart(
            number=lesion.number,
            title=language.words.lesion_number.format(number=lesion.number),
            table=_table(lesion, measured.get(lesion.number, {}), language),
            has_diameters=bool(measured.get(lesion.number)),
            facts=_facts(lesion, language),
            figures=figures_at(album, number, language),
            is_in_full=number < IN_FULL,
        )
        for number, lesion in enumerate(report.lesions)
    )


def _volume(lesion: Lesion, region: Region, language: Language) -> str:
    intervals = lesion.volume_interval_ml or {}
    return volume(lesion.volume_ml.get(region, 0.0), intervals.get(region), language)


def _table(lesion: Lesion, diameters: Mapping[Region, Diameters], language: Language) -> Table:
    words = language.words
    columns = [words.region, words.volume_ml]
    if diameters:
        columns += [words.longest_mm, words.perpendicular_mm, words.product_mm2]
    rows = []
    for region in REGIONS:
        row = [f"{capitalised(region_name(region, language))} ({region})", _volume(lesion, region, language)]
        if diameters:
            row += _measured(diameters.get(region), language)
        rows.append(tuple(row))
    return Table(caption=words.lesion_number.format(number=lesion.number), columns=tuple(columns), rows=tuple(rows))


def _measured(diameters: Diameters | None, language: Language) -> list[str]:
    if diameters is None:
        return ["-"] * 3
    return [
        language.number(diameters.longest_mm, 1),
        language.number(diameters.perpendicular_mm, 1),
        language.number(diameters.product_mm2, 0),
    ]


def _facts(lesion: Lesion, language: Language) -> tuple[Fact, ...]:
    words = language.words
    start, end = (place(corner) for corner in lesion.bounding_box_mm)
    return (
        Fact(term=words.longest_in_3d_mm, text=language.number(lesion.longest_diameter_mm, 1)),
        Fact(term=words.centre_mm, text=place(lesion.centroid_mm)),
        Fact(term=words.box_mm, text=words.from_to.format(start=start, end=end)),
    )
