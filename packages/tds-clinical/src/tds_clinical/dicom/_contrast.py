"""Before or after the contrast agent, where one header alone cannot tell: the order of acquisition can.

Scanners keep the agent's tag set for the rest of an examination, some from its registration on, and many T1 series
after the injection are named like the one before it. What is known of the time of injection, or of series that are
surely from after it, then decides; where nothing is known, nothing is changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from tds_clinical.dicom._words import is_perfusion
from tds_clinical.dicom.identify import SequenceGuess, Testimony
from tds_data.vocabulary import Modality

_AFTER_DOUBT: Final = 0.15
_BEFORE_DOUBT: Final = 0.15


def told_by_order(testimonies: Sequence[Testimony]) -> tuple[SequenceGuess, ...]:
    """Return the guesses for the series of a study, T1 and T1ce told apart by their order where that is known.

    Args:
        testimonies: What the header of each series says.
    """
    tag_tells = not all(each.acquisition.agent for each in testimonies)
    given_at_s = min(_moments_of_agent(testimonies, tag_tells=tag_tells), default=None)
    if given_at_s is None:
        return tuple(each.guess for each in testimonies)
    return tuple(_settled(each, given_at_s, tag_tells=tag_tells) for each in testimonies)


def _moments_of_agent(testimonies: Sequence[Testimony], *, tag_tells: bool) -> Iterator[float]:
    injected = [t for t in (each.acquisition.agent_given_at_s for each in testimonies) if t is not None]
    if injected:
        # What the scanner recorded of the injection is better than anything concluded.
        yield min(injected)
        return
    for each in testimonies:
        taken_at_s = each.acquisition.taken_at_s
        named = each.words.contrast is True or (tag_tells and each.acquisition.agent and each.words.contrast is None)
        if taken_at_s is not None and (named or is_perfusion(each.words.unwanted)):
            yield taken_at_s


def _settled(each: Testimony, given_at_s: float, *, tag_tells: bool) -> SequenceGuess:
    guess, taken_at_s = each.guess, each.acquisition.taken_at_s
    if taken_at_s is None or each.words.contrast is not None or each.words.contradicts:
        return guess
    if guess.modality is Modality.T1 and not each.acquisition.agent and taken_at_s > given_at_s:
        reason = f"{guess.reason}, but it was taken after one was given"
        return _changed(guess, Modality.T1CE, _AFTER_DOUBT, reason)
    injected = each.acquisition.agent_given_at_s is not None
    if guess.modality is Modality.T1CE and taken_at_s < given_at_s and (injected or not tag_tells):
        reason = f"{guess.reason}, but it was taken before any was given"
        return _changed(guess, Modality.T1, _BEFORE_DOUBT, reason)
    return guess


def _changed(guess: SequenceGuess, modality: Modality, doubt: float, reason: str) -> SequenceGuess:
    return replace(guess, modality=modality, confidence=max(guess.confidence - doubt, 0.0), reason=reason)
