"""What a series description says, in the spellings that sites use.

Descriptions are free text: only words that are listed here are repeated in a reason or a message, never the text.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tds_data.vocabulary import MODALITY_ALIASES, Modality


class Weighting(StrEnum):
    """How a sequence is weighted, contrast agent aside."""

    T1 = "T1"
    T2 = "T2"
    FLAIR = "FLAIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextHint:
    """What a description says.

    Attributes:
        weighting: The weighting that it names, if exactly one.
        contrast: Whether it names a contrast agent (`True`), its absence (`False`), both or neither (`None`).
        contradicts: Whether it names both the agent and its absence.
        unwanted: The word that rules the series out, if there is one.
    """

    weighting: Weighting | None
    contrast: bool | None
    contradicts: bool
    unwanted: str | None


_UNWANTED: Final = re.compile(
    r"""locali[sz]er|localizador|locali[sz]ation|loc|scout|survey|3plane|smartbrain
    |dwi|dti|adc|tracew?|tensor|diff|diffusion|fa|colfa|hardi|b\d+
    |swi|swan|venobold|t2star|gre2d|ha?emo
    |perfusion|perf|dsc|dce|p?c?asl|r?cb[fv]|mtt|ttp|tmax|ktrans
    |phase|pha|mips?|minip|tof|mr[av]|angio|venography|venogram
    |bold|fmri|epi|fieldmap|fieldmapping|calib|calibration
    |spectroscopy|mrs|svs|csi|subtr|subtract|subtraction|pd|stir|map|mapping|t[12]map|ciss|fiesta|report""",
    re.VERBOSE,
)
_T1: Final = re.compile(r"(?:[23]d|ax|tra|sag|cor|e|s)?t1(?!\d)(.*)")
_T2: Final = re.compile(r"(?:[23]d|ax|tra|sag|cor|e|s)?t2(?!\d)(.*)")
_T1_NAME: Final = re.compile(r"mprage|mp2rage|(?:ir|f)?spgr|bravo")
_FLAIR_NAME: Final = re.compile(r"\w*flair|tirm|darkfluid")
_AGENT: Final = re.compile(
    r"""gad|gd|gado|gadolini(?:um|o)|gadovist|dotarem|prohance|multihance|magnevist
    |clariscan|km|ce|contrast|contraste|kontrast|contrasted|enhanced|mdc|wc""",
    re.VERBOSE,
)
_AFTER: Final = re.compile(r"post|post(?:contrast|gad|gd)")
_ABSENT: Final = re.compile(r"pre|pre(?:contrast|gad|gd)|native?|unenhanced|noncontrast|woc")
_NEGATION: Final = re.compile(r"pre|no|non|not|without|wo|ohne|sans|senza|sin")
_T1_WITH_AGENT: Final = re.compile(r"w?(?:ce|c|gd|gad|km|post)")
_REWRITES: Final = (
    # Surgery and radiotherapy are before and after, too.
    (re.compile(r"\b(?:pre|post)[\s-]*(?:op|surg|rt|radi|chemo|treat)\w*"), " "),
    (re.compile(r"t2\s*\*|t2[\s_-]*star"), " t2star "),
    (re.compile(r"\+\s*(?:c|gd|gad\w*|km|contrast)\b|\bc\s*\+"), " contrast "),
    (re.compile(r"\bw\s*/\s*o\b"), " without "),
    (re.compile(r"\bw\s*/"), " with "),
    (re.compile(r"dark[\s_-]*fluid"), " darkfluid "),
    (re.compile(r"3[\s_-]*plane"), " 3plane "),
)


def read_words(description: str) -> TextHint:
    """Return what a series description or protocol name says.

    Args:
        description: Free text in any spelling, perhaps empty.
    """
    words = _words(description)
    unwanted = next((w for w in words if _UNWANTED.fullmatch(w)), None)
    agent, absent = _contrast(words)
    return TextHint(
        weighting=_weighting(words),
        contrast=agent if agent != absent else None,
        contradicts=agent and absent,
        unwanted=unwanted,
    )


def _words(description: str) -> list[str]:
    lowered = description.lower().replace("_", " ")
    for pattern, replacement in _REWRITES:
        lowered = pattern.sub(replacement, lowered)
    return re.findall(r"[a-z0-9]+", lowered)


def _weighting(words: list[str]) -> Weighting | None:
    aliased = {MODALITY_ALIASES[w] for w in words if w in MODALITY_ALIASES}
    t1 = bool(aliased & {Modality.T1, Modality.T1CE}) or any(_T1_NAME.fullmatch(w) or _T1.fullmatch(w) for w in words)
    t2 = Modality.T2 in aliased or any(_T2.fullmatch(w) for w in words)
    named_flair = any(_FLAIR_NAME.fullmatch(w) for w in words)
    if t1 and t2:
        return None
    if Modality.FLAIR in aliased or named_flair:
        # A T1 sequence with fluid nulled is a T1 image.
        return Weighting.T1 if t1 else Weighting.FLAIR
    if t1:
        return Weighting.T1
    return Weighting.T2 if t2 else None


def _contrast(words: list[str]) -> tuple[bool, bool]:
    agent, absent = False, False
    negated = False
    for word in words:
        joined = _T1.fullmatch(word)
        if _AFTER.fullmatch(word) or (joined and _T1_WITH_AGENT.fullmatch(joined.group(1))):
            agent = True
        elif _AGENT.fullmatch(word):
            agent, absent = agent or not negated, absent or negated
        elif _ABSENT.fullmatch(word):
            absent = True
        # A negation reaches the next word only: "no fat sat, Gd" has an agent.
        negated = bool(_NEGATION.fullmatch(word)) or (negated and word == "iv")
    return agent, absent
