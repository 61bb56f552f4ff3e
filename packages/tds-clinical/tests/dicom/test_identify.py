from typing import Any

import pytest
from pydicom.dataset import Dataset

from tds_clinical.dicom import identify_sequence
from tds_clinical.testing.classic_series import SEQUENCE_TAGS
from tds_data.vocabulary import MODALITIES, Modality

T1, T1CE, T2, FLAIR = MODALITIES


def header(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def tags_of(modality: Modality, **changes: object) -> dict[str, Any]:
    values = {k: v for k, v in SEQUENCE_TAGS[modality].items() if k != "SeriesDescription"}
    return {**values, **changes}


@pytest.mark.parametrize(
    ("description", "modality"),
    [
        ("AX T1", T1),
        ("T1w", T1),
        ("t1_mpr_ns_sag_iso", T1),
        ("SAG 3D MPRAGE", T1),
        ("Ax BRAVO", T1),
        ("eT1W_3D_TFE", T1),
        ("AX T1 PRE", T1),
        ("AX T1 pre-contrast", T1),
        ("T1 w/o contrast", T1),
        ("T1 WITHOUT GAD", T1),
        ("T1 nativ", T1),
        ("t1n", T1),
        ("T1 ohne KM", T1),
        ("AX T1 FLAIR", T1),
        ("AX T1 post-op", T1),
        ("T1 pre IV contrast", T1),
        ("T1 MPRAGE POST GAD", T1CE),
        ("t1_mprage_sag_p2_iso Gd", T1CE),
        ("AX T1 +C", T1CE),
        ("AX T1 C+", T1CE),
        ("T1w + Gd", T1CE),
        ("T1+GAD", T1CE),
        ("T1 no fat sat Gd", T1CE),
        ("T1 without FS POST", T1CE),
        ("t1_tse_tra_KM", T1CE),
        ("AX T1 w/ contrast", T1CE),
        ("t1ce", T1CE),
        ("T1c", T1CE),
        ("T1Gd", T1CE),
        ("3DT1CE", T1CE),
        ("COR T1 FLAIR POST", T1CE),
        ("Ax T1 post contrast post-op", T1CE),
        ("T2w TSE", T2),
        ("AX T2 FSE", T2),
        ("t2_space_sag", T2),
        ("sT2W_TSE", T2),
        ("AX T2 POST", T2),
        ("AX T2 FLAIR", FLAIR),
        ("t2_tirm_tra_dark-fluid", FLAIR),
        ("3D_FLAIR_CUBE", FLAIR),
        ("T2FLAIR", FLAIR),
        ("t2f", FLAIR),
        ("AX FLAIR POST GAD", FLAIR),
    ],
)
def test_text_alone_names_the_sequence(description: str, modality: Modality) -> None:
    guess = identify_sequence(header(SeriesDescription=description))
    assert guess.modality is modality
    assert guess.confidence == 0.8


def test_the_protocol_name_counts_as_text() -> None:
    assert identify_sequence(header(SeriesDescription="s3", ProtocolName="T2W_TSE")).modality is T2


@pytest.mark.parametrize(
    "description",
    [
        "LOCALIZER",
        "3-plane loc",
        "AX T1 scout",
        "ep2d_diff_b1000",
        "AX DWI",
        "T2 ADC map",
        "SWI",
        "T2*",
        "t2_star GRE",
        "t2_fl2d_tra_hemo",
        "PERFUSION T1 DSC",
        "T1 MIP",
        "T1 phase",
        "TOF MRA",
        "PD T2 dual echo",
        "T1 subtraction",
        "STIR T2",
        "t1map",
    ],
)
def test_unwanted_words_rule_a_series_out_even_with_fitting_timing(description: str) -> None:
    guess = identify_sequence(header(SeriesDescription=description, **tags_of(T1)))
    assert guess.modality is None
    assert guess.reason.startswith("not a structural image")


@pytest.mark.parametrize("modality", MODALITIES)
def test_tags_alone_name_the_sequence(modality: Modality) -> None:
    guess = identify_sequence(header(**tags_of(modality)))
    assert (guess.modality, guess.confidence) == (modality, 0.6)


@pytest.mark.parametrize("modality", MODALITIES)
def test_text_and_tags_together_are_firm(modality: Modality) -> None:
    guess = identify_sequence(header(**SEQUENCE_TAGS[modality]))
    assert (guess.modality, guess.confidence) == (modality, 0.95)


@pytest.mark.parametrize(
    ("values", "modality"),
    [
        ({"ScanningSequence": "SE", "RepetitionTime": 550, "EchoTime": 12}, T1),
        ({"ScanningSequence": "GR", "RepetitionTime": 8, "EchoTime": 3}, T1),
        ({"ScanningSequence": "GR", "SequenceVariant": "MP", "RepetitionTime": 2000, "EchoTime": 3}, T1),
        ({"ScanningSequence": ["SE", "IR"], "RepetitionTime": 2200, "EchoTime": 9, "InversionTime": 850}, T1),
        ({"RepetitionTime": 3200, "EchoTime": 400}, T2),
        ({"ScanningSequence": ["GR", "SE"], "RepetitionTime": 4000, "EchoTime": 90}, T2),
        ({"RepetitionTime": 5000, "EchoTime": 390, "InversionTime": 1650}, FLAIR),
        ({"ScanningSequence": "SE", "RepetitionTime": 3000, "EchoTime": 15}, None),
        ({"ScanningSequence": "GR", "RepetitionTime": 2500, "EchoTime": 3}, None),
        ({"ScanningSequence": "GR", "RepetitionTime": 600, "EchoTime": 20}, None),
        ({"ScanningSequence": "EP", "RepetitionTime": 5000, "EchoTime": 90}, None),
        ({"ScanningSequence": ["SE", "IR"], "RepetitionTime": 5000, "EchoTime": 60, "InversionTime": 150}, None),
        ({"RepetitionTime": 5000, "EchoTime": 90, "DiffusionBValue": 1000}, None),
        ({"ScanningSequence": "GR", "RepetitionTime": 20, "EchoTime": 4, "AngioFlag": "Y"}, None),
        ({"RepetitionTime": 5000, "EchoTime": 90, "ImageType": ["DERIVED", "PRIMARY", "ADC"]}, None),
        ({"EchoTime": 90}, None),
        ({}, None),
    ],
)
def test_timing_tells_the_weighting(values: dict[str, Any], modality: Modality | None) -> None:
    assert identify_sequence(header(**values)).modality is modality


@pytest.mark.parametrize("agent", ["", "NONE", "no"])
def test_an_agent_that_says_none_is_none(agent: str) -> None:
    assert identify_sequence(header(**tags_of(T1, ContrastBolusAgent=agent))).modality is T1


def test_an_agent_tag_makes_an_unmarked_t1_contrast_enhanced() -> None:
    guess = identify_sequence(header(SeriesDescription="AX T1", ContrastBolusAgent="Gadovist"))
    assert guess.modality is T1CE
    assert "by tag" in guess.reason


@pytest.mark.parametrize("modality", [T2, FLAIR])
def test_an_agent_leaves_other_sequences_what_they_are(modality: Modality) -> None:
    assert identify_sequence(header(**tags_of(modality, ContrastBolusAgent="Gadovist"))).modality is modality


def test_text_and_timing_in_conflict_are_weak() -> None:
    guess = identify_sequence(header(SeriesDescription="AX T1", **tags_of(T2)))
    assert (guess.modality, guess.confidence) == (T1, 0.3)


def test_flair_without_a_recorded_inversion_time_is_flair() -> None:
    guess = identify_sequence(header(SeriesDescription="FLAIR", **tags_of(T2)))
    assert (guess.modality, guess.confidence) == (FLAIR, 0.8)


def test_a_long_inversion_time_makes_t2_flair() -> None:
    guess = identify_sequence(header(SeriesDescription="AX T2", **tags_of(FLAIR)))
    assert (guess.modality, guess.confidence) == (FLAIR, 0.6)


def test_pre_contrast_text_against_an_agent_tag_lowers_confidence() -> None:
    guess = identify_sequence(header(SeriesDescription="T1 PRE", **tags_of(T1CE)))
    assert guess.modality is T1
    assert guess.confidence == pytest.approx(0.7)


@pytest.mark.parametrize(("agent", "modality"), [("Gadovist", T1CE), ("", T1)])
def test_pre_and_post_in_one_text_leave_the_choice_to_the_tag(agent: str, modality: Modality) -> None:
    guess = identify_sequence(header(SeriesDescription="T1 PRE / POST", **tags_of(T1, ContrastBolusAgent=agent)))
    assert guess.modality is modality
    assert guess.confidence < 0.95


def test_two_weightings_in_one_text_are_none() -> None:
    assert identify_sequence(header(SeriesDescription="T1 T2")).modality is None


@pytest.mark.parametrize("modality", list(Modality))
def test_reasons_never_repeat_free_text(modality: Modality) -> None:
    named = header(**{**SEQUENCE_TAGS[modality], "ProtocolName": "JANE DOE 4711"})
    reason = identify_sequence(named).reason.lower()
    assert "doe" not in reason
    assert "4711" not in reason
