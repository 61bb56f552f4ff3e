"""How a series was acquired, from tags alone.

Classic headers hold these attributes side by side; enhanced ones (PS3.3, sections C.8.13.1 to C.8.13.5) put most of
them into functional groups, under other names for some. Both are heard.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from tds_clinical.dicom._tags import number, numbers, texts
from tds_clinical.dicom._words import Weighting

_GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_MACROS: Final = (
    "MRTimingAndRelatedParametersSequence",
    "MREchoSequence",
    "MRModifierSequence",
    "MRImageFrameTypeSequence",
    "MRDiffusionSequence",
    "ContrastBolusUsageSequence",
    "FrameContentSequence",
)
_UNWANTED_IMAGE_TYPES: Final = frozenset(
    {"ADC", "PHASE", "P", "PHASE MAP", "MIP", "MINIP", "MAX_IP", "MIN_IP", "MNIP", "PROJECTION IMAGE", "LOCALIZER"}
    | {"SUBTRACT", "SUBTRACTION", "SUB", "TRACEW", "FA", "DIFFUSION", "PERFUSION", "CBF", "CBV", "MTT", "TTP", "FMRI"}
    | {"FAT", "OPP_PHASE", "OUT_PHASE", "SWI", "T1 MAP", "T2 MAP", "R2_MAP", "T2_STAR", "SCREEN SAVE", "DIXON_F"}
)
_REFORMATTED_IMAGE_TYPES: Final = frozenset({"MPR", "CSA MPR", "REFORMATTED", "RESAMPLED", "CSAMPR", "CURVED MPR"})
_NO_AGENT: Final = frozenset(
    {"", "0", "-", "N", "NO", "NONE", "NIL", "N/A", "NA", "WITHOUT", "NATIVE", "NO CONTRAST", "KEIN", "KEINES", "OHNE"}
    | {"NINGUNO", "SIN", "SIN CONTRASTE", "AUCUN", "SANS", "UNKNOWN"}
)
_DECLARED: Final = {"T1": Weighting.T1, "T2": Weighting.T2, "FLUID_ATTENUATED": Weighting.FLAIR}
_DECLARED_UNWANTED: Final = frozenset(
    {"DIFFUSION", "FLOW_ENCODED", "PERFUSION", "PROTON_DENSITY", "STIR", "TAGGING", "TOF", "T2_STAR", "FIELD_MAP"}
)
_ANY_DAY: Final = "19000101"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How a series was acquired, so far as tags tell.

    Attributes:
        repetition_ms: TR; likewise the following.
        echo_ms: TE, effective.
        inversion_ms: TI.
        gradient_echo: Whether it is gradient echo without any spin echo.
        inverted: Whether an inversion pulse prepares it.
        prepared: Whether it is a magnetisation-prepared or inversion-prepared sequence.
        declared: The weighting that the scanner itself names (Acquisition Contrast).
        agent: Whether a tag names a contrast agent.
        unwanted: What rules it out as a structural image, in words.
        derived: Whether its pixels were computed from other images.
        reformatted: Whether it was cut anew out of another volume.
        is_3d: Whether it was acquired as a slab.
        taken_at_s: Time of acquisition in seconds, comparable within one study.
        agent_given_at_s: Time at which the agent was given, on the same clock.
    """

    repetition_ms: float | None = None
    echo_ms: float | None = None
    inversion_ms: float | None = None
    gradient_echo: bool = False
    inverted: bool = False
    prepared: bool = False
    declared: Weighting | None = None
    agent: bool = False
    unwanted: str | None = None
    derived: bool = False
    reformatted: bool = False
    is_3d: bool = False
    taken_at_s: float | None = None
    agent_given_at_s: float | None = None


def read_acquisition(header: Dataset) -> Acquisition:
    """Return how a series was acquired.

    Args:
        header: Header of any image of the series, classic or enhanced.
    """
    places = tuple(_places(header))
    kinds = {kind.upper() for kind in _texts(places, "ScanningSequence")}
    pulse = _text(places, "EchoPulseSequence").upper()
    image_types = _image_types(places)
    inverted = "IR" in kinds or _text(places, "InversionRecovery").upper() == "YES"
    declared = _text(places, "AcquisitionContrast").upper()
    moment = _text(places, "AcquisitionDateTime", "FrameAcquisitionDateTime")
    day = _text(places, "AcquisitionDate") or moment[: len("YYYYMMDD")]
    return Acquisition(
        repetition_ms=_number(places, "RepetitionTime"),
        echo_ms=_number(places, "EchoTime", "EffectiveEchoTime"),
        inversion_ms=_number(places, "InversionTime", "InversionTimes"),
        gradient_echo=("GR" in kinds and "SE" not in kinds) or pulse == "GRADIENT",
        inverted=inverted,
        prepared=inverted or "MP" in _texts(places, "SequenceVariant"),
        declared=_DECLARED.get(declared),
        agent=_names_agent(places),
        unwanted=_unwanted(places, kinds, image_types, declared),
        derived="DERIVED" in image_types,
        reformatted=bool(image_types & _REFORMATTED_IMAGE_TYPES),
        is_3d=_text(places, "MRAcquisitionType") == "3D",
        taken_at_s=_moment(moment) or _moment(day + _text(places, "AcquisitionTime")),
        agent_given_at_s=_moment(day + _text(places, "ContrastBolusStartTime")),
    )


def _places(header: Dataset) -> Iterator[Dataset]:
    yield header
    for group in _GROUPS:
        for item in _items(header, group)[:1]:
            for macro in _MACROS:
                yield from _items(item, macro)[:1]


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    try:
        found = dataset.get(keyword)
    except Exception:  # noqa: BLE001  # a damaged sequence fails in pydicom in many ways, and tells nothing
        return []
    return list(found) if isinstance(found, Items) else []


def _texts(places: tuple[Dataset, ...], *keywords: str) -> tuple[str, ...]:
    found = (texts(place, keyword) for keyword in keywords for place in places)
    return next((values for values in found if values), ())


def _text(places: tuple[Dataset, ...], *keywords: str) -> str:
    return next(iter(_texts(places, *keywords)), "")


def _number(places: tuple[Dataset, ...], *keywords: str) -> float | None:
    found = (number(place, keyword) for keyword in keywords for place in places)
    return next((value for value in found if value is not None), None)


def _image_types(places: tuple[Dataset, ...]) -> set[str]:
    kinds = (texts(place, keyword) for keyword in ("ImageType", "FrameType") for place in places)
    return {kind.upper() for values in kinds for kind in values}


def _names_agent(places: tuple[Dataset, ...]) -> bool:
    administered = _text(places, "ContrastBolusAgentAdministered").upper()
    if administered:
        return administered == "YES"
    named = _text(places, "ContrastBolusAgent").upper() not in _NO_AGENT
    dosed = any((_number(places, keyword) or 0) > 0 for keyword in ("ContrastBolusVolume", "ContrastBolusTotalDose"))
    coded = any(_items(place, "ContrastBolusAgentSequence") for place in places)
    return named or dosed or coded


def _unwanted(places: tuple[Dataset, ...], kinds: set[str], image_types: set[str], declared: str) -> str | None:
    unwanted = sorted(image_types & _UNWANTED_IMAGE_TYPES)
    if unwanted:
        return f"image type {unwanted[0]}"
    if _text(places, "ComplexImageComponent").upper() == "PHASE":
        return "phase image"
    b_values = [b for place in places for b in numbers(place, "DiffusionBValue", 1) or ()]
    planar = "EP" in kinds or _text(places, "EchoPlanarPulseSequence").upper() == "YES"
    if planar or any(b > 0 for b in b_values):
        return "echo-planar or diffusion acquisition"
    if declared in _DECLARED_UNWANTED:
        return f"acquisition contrast {declared}"
    return "angiography" if _text(places, "AngioFlag") == "Y" else None


def _moment(stamp: str) -> float | None:
    # YYYYMMDDHHMMSS.FFFFFF&ZZXX, or without the day (PS3.5, section 6.2); all of one study are in one time zone.
    digits, _, rest = stamp.replace(":", "").partition(".")
    digits = digits if len(digits) > len("HHMMSS") else _ANY_DAY + digits
    try:
        moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    fraction = re.match(r"\d{1,6}", rest)
    return moment.timestamp() + (float(f"0.{fraction[0]}") if fraction else 0.0)
