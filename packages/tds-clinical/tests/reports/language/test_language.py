import re
from dataclasses import fields
from pathlib import Path
from string import Formatter

import pytest

import tds_clinical.reports
from tds_clinical.errors import ReportError
from tds_clinical.reports.language import ENGLISH, GERMAN, LANGUAGES, SPANISH, Language, Words, language_of
from tds_clinical.reports.lettering import letters_of
from tds_data.report import RESEARCH_USE_NOTICE

KEYS = [field.name for field in fields(Words)]
OTHERS = [language for language in LANGUAGES.values() if language is not ENGLISH]
SAME_WORD = {
    "phantom_mark",
    "error",
    "region",
    "dice",
    "axial",
    "coronal",
    "sagittal",
    "perpendicular_mm",
}
SAME_FORM = {"assessment", "possible", "region_volume_ml", "region_change_ml"}


def text_of(language: Language, key: str) -> str:
    return str(getattr(language.words, key))


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.code)
@pytest.mark.parametrize("key", KEYS)
def test_every_language_fills_in_the_same_placeholders(language: Language, key: str) -> None:
    expected = sorted(name for _, name, _, _ in Formatter().parse(text_of(ENGLISH, key)) if name is not None)
    found = sorted(name for _, name, _, _ in Formatter().parse(text_of(language, key)) if name is not None)
    assert found == expected


@pytest.mark.parametrize("language", OTHERS, ids=lambda language: language.code)
def test_no_text_was_left_in_english(language: Language) -> None:
    same = {key for key in KEYS if text_of(language, key) == text_of(ENGLISH, key)}
    assert same <= SAME_WORD | SAME_FORM


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=lambda language: language.code)
def test_every_text_can_be_written_with_the_fonts_that_a_report_has(language: Language) -> None:
    for key in KEYS:
        text = text_of(language, key)
        assert text.strip()
        text.encode("cp1252")
    words = language.words
    on_pictures = (
        words.notice
        + words.phantom_badge
        + words.phantom_mark
        + words.lesion_of
        + words.longest_in_3d_short
        + words.necrotic_core
        + words.oedema
        + words.enhancing_label
        + words.right_is_left
        + words.middle_of_head
        + words.contour
        + words.fill
        + words.one_lesion
        + words.many_lesions
        + words.nothing_found
        + words.whole_tumour
        + words.tumour_core
        + words.enhancing_tumour
        + words.volume_with_interval
    )
    assert letters_of(on_pictures).isascii()
    assert (words.axial + words.coronal + words.sagittal + words.phantom_mark).isascii()


def test_every_text_is_used() -> None:
    folder = Path(tds_clinical.reports.__file__).parent
    sources = [*folder.glob("*.py"), *folder.glob("templates/*.j2")]
    used = set(re.findall(r"words\.(\w+)", "".join(path.read_text(encoding="utf-8") for path in sources)))
    assert set(KEYS) - used == set()


def test_the_english_notice_is_the_one_of_every_result() -> None:
    assert ENGLISH.words.notice == RESEARCH_USE_NOTICE


@pytest.mark.parametrize("code", ["fr", "EN", "", "de-AT"])
def test_a_language_without_texts_is_refused_with_the_choices(code: str) -> None:
    with pytest.raises(ReportError, match=f"'{code}'; choose one of: en, de, es"):
        language_of(code)


@pytest.mark.parametrize(
    ("language", "text"), [(ENGLISH, "1234.50"), (GERMAN, "1234,50"), (SPANISH, "1234,50")], ids=["en", "de", "es"]
)
def test_numbers_have_the_decimal_mark_of_the_language(language: Language, text: str) -> None:
    assert language.number(1234.5, 2) == text
    assert language_of(language.code) is language


def test_nothing_is_never_minus_nothing() -> None:
    assert ENGLISH.number(-0.001, 1) == "0.0"
