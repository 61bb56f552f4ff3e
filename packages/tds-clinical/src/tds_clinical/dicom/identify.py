"""Which sequence a series is, from what its header says.

Two witnesses are heard: the free text (series description, protocol name) and the physics (repetition, echo and
inversion time, scanning sequence, contrast agent). Where they agree the guess is firm; where they disagree it is weak.
"""

from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from tds_clinical.dicom._acquisition import Acquisition, read_acquisition
from tds_clinical.dicom._tags import text
from tds_clinical.dicom._words import TextHint, Weighting, read_words
from tds_data.vocabulary import Modality

_FIRM: Final = 0.95
_TEXT_ONLY: Final = 0.8
_TAGS_ONLY: Final = 0.6
_CONFLICT: Final = 0.3
_CONTRAST_DOUBT: Final = 0.25

_LONG_TI_MS: Final = 1500.0
_T1_TI_MS: Final = (300.0, 1500.0)
_STIR_TI_MS: Final = 300.0
_LONG_TE_MS: Final = 60.0
_LONG_TR_MS: Final = 2000.0
_SHORT_SPIN_ECHO_MS: Final = (30.0, 1200.0)
_SHORT_GRADIENT_ECHO_MS: Final = (12.0, 700.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceGuess:
    """Which sequence a series seems to be.

    Attributes:
        modality: The sequence, or `None` if it is none of the four or cannot be told.
        confidence: How sure the guess is, 0 to 1.
        reason: What it rests on, without patient identifiers.
    """

    modality: Modality | None
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Testimony:
    """What a header says, and the guess that it makes.

    Attributes:
        guess: Which sequence the series seems to be.
        words: What its free text says.
        acquisition: What its tags say.
    """

    guess: SequenceGuess
    words: TextHint
    acquisition: Acquisition


def hear(header: Dataset) -> Testimony:
    """Return what a header says of its series.

    Args:
        header: Header of any image of the series.
    """
    words = read_words(f"{text(header, 'SeriesDescription')} {text(header, 'ProtocolName')}")
    acquisition = read_acquisition(header)
    return Testimony(guess=_guess(words, acquisition), words=words, acquisition=acquisition)


def identify_sequence(header: Dataset) -> SequenceGuess:
    """Return which of T1, T1ce, T2 and FLAIR a series seems to be.

    Args:
        header: Header of any image of the series.

    Examples:
        >>> header = Dataset()
        >>> header.SeriesDescription = "AX T1 MPRAGE POST GAD"
        >>> identify_sequence(header).modality
        <Modality.T1CE: 't1ce'>
    """
    return hear(header).guess


def _guess(words: TextHint, acquisition: Acquisition) -> SequenceGuess:
    unwanted = words.unwanted or _ruled_out(acquisition)
    if unwanted is not None:
        return SequenceGuess(modality=None, confidence=_FIRM, reason=f"not a structural image: {unwanted}")
    measured = _measured(acquisition)
    if words.proton_density and not (words.weighting is measured is Weighting.T2):
        # Of a double echo, named for both, the second is T2.
        return SequenceGuess(modality=None, confidence=_FIRM, reason="not a structural image: proton density")
    weighting, confidence, reason = _weigh(words.weighting, measured)
    if weighting is None:
        return SequenceGuess(modality=None, confidence=confidence, reason=reason)
    if weighting is not Weighting.T1:
        return SequenceGuess(modality=Modality(weighting.value.lower()), confidence=confidence, reason=reason)
    modality, doubt, why = _contrast(words, agent=acquisition.agent)
    return SequenceGuess(modality=modality, confidence=max(confidence - doubt, 0.0), reason=f"{reason}; {why}")


def _weigh(said: Weighting | None, measured: Weighting | None) -> tuple[Weighting | None, float, str]:
    match said, measured:
        case None, None:
            return None, 0.0, "neither text nor timing names a sequence"
        case None, _:
            return measured, _TAGS_ONLY, f"timing fits {measured}, text names no sequence"
        case _, None:
            return said, _TEXT_ONLY, f"text names {said}, timing does not tell"
        case _ if said is measured:
            return said, _FIRM, f"text and timing agree on {said}"
    return _settle(said, measured)


def _settle(said: Weighting | None, measured: Weighting | None) -> tuple[Weighting | None, float, str]:
    match said, measured:
        case Weighting.T2, Weighting.FLAIR:
            return measured, _TAGS_ONLY, "text names T2, but a long inversion time makes it FLAIR"
        case Weighting.FLAIR, Weighting.T2:
            return said, _TEXT_ONLY, "text names FLAIR, timing fits T2 with no inversion time recorded"
    return said, _CONFLICT, f"text names {said}, but timing fits {measured}"


def _contrast(words: TextHint, *, agent: bool) -> tuple[Modality, float, str]:
    if words.contradicts:
        modality = Modality.T1CE if agent else Modality.T1
        return modality, _CONTRAST_DOUBT, "text names contrast agent both given and not given"
    if words.contrast is False and agent:
        return Modality.T1, _CONTRAST_DOUBT, "text says no contrast agent, a tag names one"
    if words.contrast or agent:
        witness = " and ".join(name for name, says in (("text", words.contrast), ("tag", agent)) if says)
        return Modality.T1CE, 0.0, f"contrast agent named by {witness}"
    return Modality.T1, 0.0, "no contrast agent named"


def _ruled_out(acquisition: Acquisition) -> str | None:
    te_ms, ti_ms = acquisition.echo_ms or 0.0, acquisition.inversion_ms or 0.0
    if acquisition.unwanted is not None:
        return acquisition.unwanted
    if acquisition.gradient_echo and te_ms >= _SHORT_GRADIENT_ECHO_MS[0]:
        return "gradient echo with a long echo time (T2*)"
    if acquisition.inverted and not acquisition.gradient_echo and 0 < ti_ms < _STIR_TI_MS:
        return "short inversion time (STIR)"
    return None


def _measured(acquisition: Acquisition) -> Weighting | None:
    te_ms, tr_ms = acquisition.echo_ms or 0.0, acquisition.repetition_ms or 0.0
    ti_ms = acquisition.inversion_ms or 0.0
    if acquisition.declared is not None or not (te_ms > 0 and tr_ms > 0):
        return acquisition.declared
    if acquisition.gradient_echo:
        return _gradient_echo(te_ms, tr_ms, ti_ms, prepared=acquisition.prepared)
    return _spin_echo(te_ms, tr_ms, ti_ms)


def _spin_echo(te_ms: float, tr_ms: float, ti_ms: float) -> Weighting | None:
    if ti_ms > _LONG_TI_MS and te_ms > _LONG_TE_MS:
        return Weighting.FLAIR
    if te_ms > _LONG_TE_MS and tr_ms > _LONG_TR_MS and ti_ms == 0:
        return Weighting.T2
    short_te_ms, short_tr_ms = _SHORT_SPIN_ECHO_MS
    nulled = _T1_TI_MS[0] <= ti_ms <= _T1_TI_MS[1]
    return Weighting.T1 if te_ms < short_te_ms and (tr_ms < short_tr_ms or nulled) else None


def _gradient_echo(te_ms: float, tr_ms: float, ti_ms: float, *, prepared: bool) -> Weighting | None:
    short_te_ms, short_tr_ms = _SHORT_GRADIENT_ECHO_MS
    nulled = prepared or _T1_TI_MS[0] <= ti_ms <= _T1_TI_MS[1]
    return Weighting.T1 if te_ms < short_te_ms and (tr_ms < short_tr_ms or nulled) else None
