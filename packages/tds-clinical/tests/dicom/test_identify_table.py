"""Headers as vendors and sites write them: made up, after their habits of naming and timing."""

from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tds_clinical.dicom import identify_sequence
from tds_data.vocabulary import MODALITIES, Modality

T1, T1CE, T2, FLAIR = MODALITIES
NONE = None

Times = tuple[float, float, float]
Row = tuple[str, str, str, Times, dict[str, Any], Modality | None]


def siemens(description: str, kinds: str, times: Times, expected: Modality | None, **more: Any) -> Row:
    return ("SIEMENS", description, kinds, times, more, expected)


def ge(description: str, kinds: str, times: Times, expected: Modality | None, **more: Any) -> Row:
    return ("GE MEDICAL SYSTEMS", description, kinds, times, more, expected)


def philips(description: str, kinds: str, times: Times, expected: Modality | None, **more: Any) -> Row:
    return ("Philips Medical Systems", description, kinds, times, more, expected)


# Description, scanning sequence, TR, TE and TI in milliseconds, what it is.
ROWS: list[Row] = [
    siemens("t1_mprage_sag_p2_iso", "GR\\IR", (1900, 2.5, 900), T1),
    siemens("t1_mprage_sag_p2_iso_Gd", "GR\\IR", (1900, 2.5, 900), T1CE),
    siemens("t1_mprage_sag_p2_iso", "GR\\IR", (1900, 2.5, 900), T1CE, ContrastBolusAgent="Gadovist"),
    siemens("t1_mprage_tra_KM", "GR\\IR", (2000, 2.9, 1000), T1CE, ContrastBolusVolume=7.5),
    siemens("T1 nativ vor KM", "SE", (500, 9, 0), T1),
    siemens("T1 nach KM", "SE", (500, 9, 0), T1CE),
    siemens("T1 tra kein KM", "SE", (500, 9, 0), T1),
    siemens("t1_se_tra_fs+km", "SE", (600, 11, 0), T1CE),
    siemens("t1_space_sag_iso_post", "SE", (700, 11, 0), T1CE),
    siemens("t1_vibe_tra_dixon_W", "GR", (5.2, 2.4, 0), T1, ImageType=["DERIVED", "PRIMARY", "DIXON", "WATER"]),
    siemens("t1_vibe_tra_dixon_F", "GR", (5.2, 2.4, 0), NONE, ImageType=["DERIVED", "PRIMARY", "DIXON", "FAT"]),
    siemens("t1_mp2rage_sag_UNI_Images", "GR\\IR", (5000, 2.9, 700), T1),
    siemens("t1_mp2rage_sag_INV1", "GR\\IR", (5000, 2.9, 700), NONE),
    siemens("t1_mp2rage_sag_INV2", "GR\\IR", (5000, 2.9, 2500), NONE),
    siemens("t2_tse_tra_512", "SE", (6000, 96, 0), T2),
    siemens("t2_space_sag_p2_iso", "SE", (3200, 409, 0), T2),
    siemens("t2_blade_tra", "SE", (5500, 117, 0), T2),
    siemens("t2_tirm_tra_dark-fluid", "SE\\IR", (9000, 94, 2500), FLAIR),
    siemens("t2_space_dark-fluid_sag_iso", "SE\\IR", (5000, 388, 1800), FLAIR),
    siemens("t2_fl2d_tra_hemo", "GR", (800, 25, 0), NONE),
    siemens("ep2d_diff_3scan_trace_TRACEW", "EP", (6800, 90, 0), NONE),
    siemens("ep2d_diff_3scan_trace_ADC", "EP", (6800, 90, 0), NONE),
    siemens("ep2d_perf_p2 KM", "EP", (1600, 30, 0), NONE),
    siemens("SWI_Images", "GR", (28, 20, 0), NONE),
    siemens("Mag_Images", "GR", (28, 20, 0), NONE),
    siemens("fl3d_ce_tof", "GR", (21, 3.4, 0), NONE),
    siemens("t2_stir_cor", "SE\\IR", (5200, 60, 150), NONE),
    siemens("t2_ciss3d_tra", "GR", (6, 2.7, 0), NONE),
    siemens("t2_tse_sag C-Spine", "SE", (3500, 100, 0), NONE),
    siemens("localizer", "GR", (8, 4, 0), NONE),
    siemens("t1_fl3d_sag_iso", "GR", (9, 4, 0), T1),
    ge("SAG T1 FLAIR", "SE\\IR", (2500, 10, 900), T1),
    ge("AX T1 FLAIR PROPELLER +C", "SE\\IR", (2700, 25, 880), T1CE),
    ge("Ax T2 FSE", "SE", (5100, 102, 0), T2),
    ge("Ax T2 PROPELLER", "SE", (6300, 110, 0), T2),
    ge("Ax T2 FLAIR FS", "SE\\IR", (9500, 140, 2300), FLAIR),
    ge("Sag CUBE T2 FLAIR", "RM", (6300, 130, 1740), FLAIR),
    ge("Sag CUBE T2", "RM", (2500, 85, 0), T2),
    ge("AX BRAVO", "RM", (8.2, 3.2, 450), T1),
    ge("AX BRAVO +C", "RM", (8.2, 3.2, 450), T1CE),
    ge("Ax 3D FSPGR IR PREP C+", "GR", (9, 3.6, 400), T1CE),
    ge("Sag T1 CUBE Post", "RM", (600, 12, 0), T1CE),
    ge("Ax SWAN", "RM", (42, 24, 0), NONE),
    ge("AX DWI ASSET", "EP", (8000, 80, 0), NONE),
    ge("Apparent Diffusion Coefficient (mm2/s)", "EP", (8000, 80, 0), NONE),
    ge("DSC PERFUSION", "EP", (1500, 30, 0), NONE),
    ge("3-Plane Loc", "GR", (5, 1.6, 0), NONE),
    ge("Calibration Scan", "GR", (150, 2, 0), NONE),
    ge("Ax T1 pre C", "SE", (480, 11, 0), T1),
    ge("O-Ax T1 SE W/ CONTRAST", "SE", (480, 11, 0), T1CE),
    ge("O-Ax T1 SE W/O CONTRAST", "SE", (480, 11, 0), T1),
    philips("sT1W_3D_TFE", "GR", (8.1, 3.7, 0), T1),
    philips("sT1W_3D_TFE_CE", "GR", (8.1, 3.7, 0), T1CE),
    philips("eT1W_SE", "SE", (450, 12, 0), T1),
    philips("MPRAGE_GADO", "RM", (7.1, 3.2, 900), T1CE),
    philips("T2W_TSE_tra", "SE", (4400, 100, 0), T2),
    philips("3D_Brain_VIEW_T2", "SE", (2500, 260, 0), T2),
    philips("FLAIR_longTR", "SE\\IR", (11000, 125, 2800), FLAIR),
    philips("3D_Brain_VIEW_FLAIR_SHC", "IR", (4800, 340, 1650), FLAIR),
    philips("WIP 3D FLAIR SENSE", "IR", (4800, 300, 1660), FLAIR),
    philips("SWIp", "GR", (31, 7.2, 0), NONE),
    philips("DTI_high_iso", "SE", (7900, 70, 0), NONE),
    philips("Survey_SHC", "GR", (11, 4.6, 0), NONE),
    philips("sSmartBrain", "GR", (5.6, 2.5, 0), NONE),
    philips("T1W_SE + Gd", "SE", (450, 12, 0), T1CE),
    philips("PD/T2 DUAL", "SE", (3000, 100, 0), T2),
    philips("PD/T2 DUAL", "SE", (3000, 15, 0), NONE),
    philips("PDW_TSE", "SE", (3000, 15, 0), NONE),
    siemens("pd+t2_tse_tra", "SE", (3200, 93, 0), T2),
    siemens("sub-01_T1w", "GR\\IR", (1900, 2.5, 900), T1),
    siemens("T1 post-processed", "GR\\IR", (1900, 2.5, 900), T1),
    # Spanish and Portuguese.
    siemens("AX T1 SIN CONTRASTE", "SE", (500, 9, 0), T1),
    siemens("AX T1 CON CONTRASTE", "SE", (500, 9, 0), T1CE),
    ge("T1 AXIAL S/C", "SE", (500, 9, 0), T1),
    ge("T1 AXIAL C/C", "SE", (500, 9, 0), T1CE),
    ge("SAG T1 SIMPLE", "SE", (500, 9, 0), T1),
    ge("COR T1 CONTRASTADA", "SE", (500, 9, 0), T1CE),
    philips("T1 TRA POSCONTRASTE", "GR", (8, 3.7, 0), T1CE),
    philips("T1 SEM CONTRASTE", "SE", (500, 9, 0), T1),
    ge("AX T1 antes de contraste", "SE", (500, 9, 0), T1),
    ge("difusión b1000", "SE", (5000, 90, 0), NONE),
    ge("T1 CON GADOLINIO", "SE", (500, 9, 0), T1CE),
    # French and Italian.
    siemens("AX T1 SANS INJECTION", "SE", (500, 9, 0), T1),
    siemens("AX T1 APRÈS INJECTION", "SE", (500, 9, 0), T1CE),
    siemens("T1 3D GADO", "GR\\IR", (1900, 2.5, 900), T1CE),
    siemens("AX T1 IV+", "SE", (500, 9, 0), T1CE),
    siemens("AX T1 IV-", "SE", (500, 9, 0), T1),
    siemens("T1 INJECTÉ", "SE", (500, 9, 0), T1CE),
    ge("T1 avant injection", "SE", (500, 9, 0), T1),
    ge("REPERAGE 3 PLANS", "GR", (5, 1.6, 0), NONE),
    philips("T1 TSE MDC", "SE", (500, 9, 0), T1CE),
    philips("T1 TSE SENZA MDC", "SE", (500, 9, 0), T1),
    # Operations are before and after, too, and are no contrast agent.
    ge("AX T1 POSTOP", "SE", (500, 9, 0), T1),
    ge("T1 pre-op stealth +C", "SE", (500, 9, 0), T1CE),
    # Text that says nothing; timing and tags decide.
    siemens("NAVIGATION", "GR\\IR", (1900, 2.5, 900), T1),
    siemens("NAVIGATION", "GR\\IR", (1900, 2.5, 900), T1CE, ContrastBolusAgent="0.1 mmol/kg Dotarem"),
    siemens("NAVIGATION", "GR\\IR", (1900, 2.5, 900), T1, ContrastBolusAgent="kein"),
    siemens("NAVIGATION", "SE", (5000, 100, 0), T2),
    siemens("NAVIGATION", "SE\\IR", (9000, 120, 2500), FLAIR),
    siemens("NAVIGATION", "SE", (3000, 15, 0), NONE),
]


def header_of(row: Row) -> Dataset:
    manufacturer, description, kinds, (tr_ms, te_ms, ti_ms), more, _ = row
    header = Dataset()
    header.Manufacturer = manufacturer
    header.SeriesDescription = description
    header.ScanningSequence = kinds.split("\\")
    header.RepetitionTime, header.EchoTime = tr_ms, te_ms
    if ti_ms:
        header.InversionTime = ti_ms
    for keyword, value in more.items():
        setattr(header, keyword, value)
    return header


def enhanced(row: Row) -> Dataset:
    """Say the same as a header with functional groups does (PS3.3, section A.36)."""
    manufacturer, description, kinds, (tr_ms, te_ms, ti_ms), more, _ = row
    header = Dataset()
    header.Manufacturer = manufacturer
    header.SeriesDescription = description
    header.EchoPulseSequence = "GRADIENT" if "GR" in kinds else "SPIN"
    header.EchoPlanarPulseSequence = "YES" if "EP" in kinds else "NO"
    timing, echo, modifier, usage, kind = (Dataset() for _ in range(5))
    timing.RepetitionTime, echo.EffectiveEchoTime = float(tr_ms), float(te_ms)
    modifier.InversionRecovery = "YES" if ti_ms else "NO"
    if ti_ms:
        modifier.InversionTimes = [float(ti_ms)]
    agent = str(more.get("ContrastBolusAgent", "kein"))
    usage.ContrastBolusAgentNumber = 1
    usage.ContrastBolusAgentAdministered = "NO" if agent == "kein" and "ContrastBolusVolume" not in more else "YES"
    kind.FrameType = more.get("ImageType", ["ORIGINAL", "PRIMARY", "BRAIN", "NONE"])
    shared, frame = Dataset(), Dataset()
    shared.MRTimingAndRelatedParametersSequence = Sequence([timing])
    shared.MRModifierSequence = Sequence([modifier])
    shared.ContrastBolusUsageSequence = Sequence([usage])
    shared.MRImageFrameTypeSequence = Sequence([kind])
    frame.MREchoSequence = Sequence([echo])
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    header.PerFrameFunctionalGroupsSequence = Sequence([frame])
    return header


IDS = [f"{n}-{row[1]}" for n, row in enumerate(ROWS)]


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_classic_header_names_the_sequence(row: Row) -> None:
    guess = identify_sequence(header_of(row))
    assert guess.modality is row[-1], guess.reason
    assert guess.modality is None or guess.confidence >= 0.6


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_enhanced_header_names_the_same(row: Row) -> None:
    guess = identify_sequence(enhanced(row))
    assert guess.modality is row[-1], guess.reason


def test_the_table_is_long_enough_and_has_every_answer() -> None:
    assert len(ROWS) >= 60
    assert {row[-1] for row in ROWS} == {T1, T1CE, T2, FLAIR, None}


@pytest.mark.parametrize(
    ("contrast", "expected"),
    [("T1", T1), ("T2", T2), ("FLUID_ATTENUATED", FLAIR), ("DIFFUSION", None), ("STIR", None), ("UNKNOWN", None)],
)
def test_the_scanner_may_name_the_contrast_itself(contrast: str, expected: Modality | None) -> None:
    header = Dataset()
    header.AcquisitionContrast = contrast
    assert identify_sequence(header).modality is expected


def test_a_phase_image_is_no_structural_image() -> None:
    header = Dataset()
    header.SeriesDescription = "AX T1"
    header.ComplexImageComponent = "PHASE"
    assert "phase image" in identify_sequence(header).reason


def test_a_coded_agent_counts() -> None:
    header, agent = Dataset(), Dataset()
    agent.CodeMeaning = "Gadobutrol"
    header.SeriesDescription = "AX T1"
    header.ContrastBolusAgentSequence = Sequence([agent])
    assert identify_sequence(header).modality is T1CE


def test_a_damaged_sequence_tells_nothing() -> None:
    class Damaged(Dataset):
        def get(self, key: Any, default: Any = None) -> Any:
            if key == "ContrastBolusAgentSequence":
                raise ValueError
            return super().get(key, default)

    header = Damaged()
    header.SeriesDescription = "AX T1"
    assert identify_sequence(header).modality is T1
