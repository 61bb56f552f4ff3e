import numpy as np
import pydicom.sr.coding
import pytest
from numpy.typing import NDArray
from pydicom.sr.codedict import codes

from tds_clinical.codes import (
    ARTIFICIAL_INTELLIGENCE,
    BRAIN,
    LABEL_CIELAB,
    LABEL_CODES,
    MEASUREMENT_CODES,
    MORPHOLOGICALLY_ABNORMAL,
    REGION_CODES,
    SEGMENTATION,
    SOURCE_IMAGE_FOR_SEGMENTATION,
    UNIT_CODES,
    Code,
)
from tds_clinical.reports.paint import LABEL_COLOURS
from tds_data.vocabulary import REGIONS, Label

SRGB_TO_XYZ_D65 = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
BRADFORD_D65_TO_D50 = np.array(
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
WHITE_D50 = np.array([0.96422, 1.0, 0.82521])


def concepts_of(*groups: int) -> list[pydicom.sr.coding.Code]:
    return [entry for group in groups for entry in getattr(codes, f"cid{group}").concepts.values()]


def lab_of(colour: tuple[int, int, int]) -> NDArray[np.float64]:
    share = np.array(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    ratio = BRADFORD_D65_TO_D50 @ SRGB_TO_XYZ_D65 @ linear / WHITE_D50
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


@pytest.mark.parametrize(
    ("code", "group"),
    [
        (MORPHOLOGICALLY_ABNORMAL, 7150),
        (BRAIN, 7153),
        (ARTIFICIAL_INTELLIGENCE, 7162),
        (SEGMENTATION, 7203),
        (SOURCE_IMAGE_FOR_SEGMENTATION, 7202),
        *((code, 7168) for code in LABEL_CODES.values()),
        *((code, 7159) for code in REGION_CODES.values()),
        (MEASUREMENT_CODES["volume"], 7472),
        (MEASUREMENT_CODES["longest"], 7470),
        (MEASUREMENT_CODES["perpendicular"], 7470),
        (MEASUREMENT_CODES["centroid"], 1011),
    ],
)
def test_every_code_is_in_the_context_group_that_the_standard_has_for_it(code: Code, group: int) -> None:
    listed = {(entry.value, entry.scheme_designator): entry.meaning for entry in concepts_of(group)}
    assert listed[code.value, code.scheme].lower() == code.meaning.lower()


def test_units_are_those_of_ucum_in_the_standard() -> None:
    for code in UNIT_CODES.values():
        assert (code.value, code.scheme) in {
            (entry.value, entry.scheme_designator) for entry in concepts_of(7460, 7462)
        }


def test_labels_and_regions_are_told_apart() -> None:
    assert len({code.value for code in LABEL_CODES.values()}) == len(LABEL_CODES) == len(LABEL_COLOURS)
    assert len({code.value for code in REGION_CODES.values()}) == len(REGION_CODES) == len(REGIONS)


def test_stored_colours_are_those_of_the_reports() -> None:
    for label, colour in LABEL_COLOURS.items():
        lightness, a, b = lab_of(colour)
        stored = np.array([lightness * 655.35, (a + 128) * 257, (b + 128) * 257])
        np.testing.assert_allclose(LABEL_CIELAB[label], stored, atol=1.0)


def test_code_becomes_an_item_of_a_code_sequence() -> None:
    item = LABEL_CODES[Label.ET].to_dataset()
    assert (item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) == ("C113842", "NCIt", "Enhancing Lesion")
