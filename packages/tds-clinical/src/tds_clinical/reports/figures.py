"""The pictures of one place, with words for each."""

from tds_clinical.reports.album import IN_FULL, Album, Shot
from tds_clinical.reports.content import Figure, Picture
from tds_clinical.reports.language import Language
from tds_clinical.reports.paint import PaintStyle
from tds_clinical.reports.scene import MODALITY_NAMES, READING_ORDER, Stop, chief_sequences
from tds_clinical.reports.wording import place
from tds_data.vocabulary import Modality


def figures_at(album: Album, number: int, language: Language) -> tuple[Figure, ...]:
    """Return the figures of one place: of every sequence for the largest lesions, of the best one for the others.

    Args:
        album: The pictures.
        number: Number of the place, from 0.
        language: What to describe them in.
    """
    stop = album.stops[number]
    available = tuple(album.scene.images)
    chief = chief_sequences(available, stop.lesion)
    shown = chief[:1] if number >= IN_FULL else tuple(m for m in READING_ORDER if m in available)
    return tuple(_figure(album, Shot(stop=number, modality=m, style=None), language, m in chief) for m in shown)


def _figure(album: Album, plain: Shot, language: Language, is_chief: bool) -> Figure:  # noqa: FBT001  # private, one caller
    stop, modality = album.stops[plain.stop], plain.modality
    alt = describe(stop, modality, language)
    contour = fill = None
    if stop.is_labelled:
        words = language.words
        outlined = Shot(stop=plain.stop, modality=modality, style=PaintStyle.CONTOUR)
        filled = Shot(stop=plain.stop, modality=modality, style=PaintStyle.FILL)
        contour = Picture(alt=words.contour_alt.format(picture=alt), _album=album, _shot=outlined)
        fill = Picture(alt=words.fill_alt.format(picture=alt), _album=album, _shot=filled)
    return Figure(
        sequence=MODALITY_NAMES[modality],
        plain=None if plain.stop >= IN_FULL and stop.is_labelled else Picture(alt=alt, _album=album, _shot=plain),
        contour=contour,
        fill=fill,
        is_chief=is_chief,
    )


def describe(stop: Stop, modality: Modality, language: Language) -> str:
    """Return what a picture without labels shows, in words.

    Args:
        stop: The place.
        modality: The sequence.
        language: What to describe it in.
    """
    words = language.words
    where = words.at_middle
    if stop.lesion is not None:
        where = words.at_lesion.format(number=stop.lesion.number, place=place(stop.lesion.centroid_mm))
    return words.picture_alt.format(sequence=MODALITY_NAMES[modality], place=where)
