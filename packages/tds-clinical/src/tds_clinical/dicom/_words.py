"""What a series description says, in the spellings that sites use.

Descriptions are free text: only words that are listed here are repeated in a reason or a message, never the text.
"""

import re
import unicodedata
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
        proton_density: Whether it names proton density, perhaps beside T2 as double echoes do.
    """

    weighting: Weighting | None
    contrast: bool | None
    contradicts: bool
    unwanted: str | None
    proton_density: bool = False


_UNWANTED: Final = re.compile(
    r"""locali[sz]er|localizador|locali[sz]ation|lokalizer|loc|scout|survey|3plane|s?smartbrain|reperage|piano
    |dwi|dti|e?adc|trace[wa]?|tensor|diff|diffusion|diffusione|difusion|fa|colfa|hardi|b\d+|resolve
    |swi|swan|swip|venobold|t2star|gre2d|ha?emo|fiesta|ciss(?:3d)?|dess|trufi|bffe
    |perfusion|perf|dsc|dce|p?c?asl|r?cb[fv]|mtt|ttp|tmax|ktrans|dynami[ck]|dinamico|dynamique|dyn|twist|tricks
    |phase|pha|mips?|minip|tof|mr[av]|angio|venography|venogram|venc|pc3d|pca
    |bold|fmri|epi|fieldmap|fieldmapping|calib|calibration|calibracion|asset|b1map|shim
    |spectroscopy|mrs|svs|csi|subtr|subtract|subtraction|sub|stir|map|maps|mapping|t[12]map|report|inv[12]
    |screensave|[ct]?spine|lspine|columna|cervical|lumbar|hws|bws|lws|rachis|neck|hals|cuello""",
    re.VERBOSE,
)
_T1: Final = re.compile(r"(?:[23]d|ax|tra|sag|cor|e|s)?t1(?!\d)(.*)")
_T2: Final = re.compile(r"(?:[23]d|ax|tra|sag|cor|e|s)?t2(?!\d)(.*)")
_T1_NAME: Final = re.compile(r"mprage|mp2rage|f?ir?f?spgr|f?spgr|bravo|vibe|starvibe|thrive|lava|mdeft")
_FLAIR_NAME: Final = re.compile(r"\w*flair\w*|tirm|darkfluid")
_AGENT: Final = re.compile(
    r"""gad|gd|gado|gadolini(?:um|o)|gadovist|gadobutrol|gadoterate?|gadoteridol|gadavist|dotarem|clariscan|dotagraf
    |prohance|multihance|magnevist|omniscan|elucirem|vueway|km|kontrastmittel|ce|contraste?|kontrast|mdc
    |contrast(?:ed|ado|ada)|enhanced|inj|inject(?:ion|e|ee|ed)|wc""",
    re.VERBOSE,
)
_AFTER: Final = re.compile(r"(?:post?|nach)(?:contrast[eo]?|gad[o]?|gd|km|inj)|post|nach|apres|despues|dopo")
_ABSENT: Final = re.compile(
    r"""(?:pre|vor)(?:contrast[eo]?|gado?|gd|km|inj)?|nati[vf][eoa]?|native|unenhanced|noncontrast|woc|plain|basal|simple
    |before|avant|antes|prima""",
    re.VERBOSE,
)
_NEGATION: Final = re.compile(r"pre|no|non|not|without|wo|ohne|sans|senza|sin|sem|vor|avant|antes|prima|before|kein")
_LINKS: Final = frozenset({"iv", "de", "the", "d", "la", "el", "administration"})
_T1_WITH_AGENT: Final = re.compile(r"w?(?:ce|c|gd|gad|gado|km|post|pc)")
_REWRITES: Final = (
    # Surgery and radiotherapy are before and after, too.
    (re.compile(r"\b(?:pre|post?|nach|vor|apres|avant)[\s_-]*(?:op|surg|rt|radi|chemo|treat|quir|biops|proc)\w*"), " "),
    (re.compile(r"\bsub[\s-]*\d+"), " "),
    (re.compile(r"\b(?:kein\w*|ohne)\s+(?=km|kontrast)"), " without "),
    (re.compile(r"t2\s*\*|t2[\s_-]*star"), " t2star "),
    (re.compile(r"(?:\+\s*|\b)iv\s*\+"), " contrast "),
    (re.compile(r"\+\s*(?:c|gd|gad\w*|km|contrast\w*|inj\w*|iv)\b|\bc\s*\+"), " contrast "),
    (re.compile(r"\b(?:iv|gado?|gd|km|c)\s*-(?=\s|$)"), " unenhanced "),
    (re.compile(r"\bs\s*/\s*(?:c(?:te|ontraste?)?|gado?|gd|inj|iv)\b"), " without contrast "),
    (re.compile(r"\bc\s*/\s*(?:c(?:te|ontraste?)?|gado?|gd|inj|iv)\b"), " contrast "),
    (re.compile(r"\bw\s*/\s*o\b"), " without "),
    (re.compile(r"\bw\s*/"), " with "),
    (re.compile(r"dark[\s_-]*fluid"), " darkfluid "),
    (re.compile(r"3[\s_-]*plane|3[\s_-]*ebenen"), " 3plane "),
    (re.compile(r"\bk\s*\.\s*m\b"), " km "),
    (re.compile(r"\b[ctl][\s_-]+spine"), " spine "),
)
_PLAIN: Final = re.compile(
    r"""[23]d|\d{1,3}(?:mm)?|ax|axial|axiale?s?|tra|trans|transversal|transverse|sag|sagittal|sagital|cor|coronal|koronar
    |obl|oblique|orig|t[12]\w{0,3}|[se]t[12]\w?|mpr|mprage|mp2rage|[tf]?se|tfe|ffe|fl[23]d|tfl|fspgr|spgr|frfse|propeller
    |blade|multivane|cube|space|vista|view|brainview|sense|grappa|asset|arc|p\d|iso|isotropic|fs|fatsat|fat|sat|spir|spair
    |dixon|water|in|opp|med|thin|thick|thk|ns|nd|dis[23]d|norm|ndnorm|mt|mtc|flow|comp|long|short|tr|te|ti|longtr|shc
    |brain|head|neuro|cerebral|cerebro|kopf|schaedel|crane|craneo|encefalo|tumou?r|glioma|hirn|stealth|nav|navi|protocol
    |with|without|no|non|not|wo|w|ohne|mit|con|sin|sans|avec|senza|com|sem|for|of|and|und|y|et|wip|repeat|rpt|rep|motion
    |post|pre|nach|vor|apres|avant|iv|c|nativ\w?|uni|den|images|reformat|rfmt|recon|range|full|whole|ir|se|gr|gre|rm
    |dark|fluid|interleaved|inferior|superior|to|weighted|wtd|t|s|e|m|o|tirm|w?\d{1,2}x\d{1,3}|mvxd|dual|echo|slab|seq|series|new|scan""",
    re.VERBOSE,
)
_PROTON_DENSITY: Final = re.compile(r"(?:3d|ax|tra|sag|cor|s)?pdw?|dp")
_PERFUSION: Final = re.compile(r"perfusion|perf|dsc|dce")
_HIDDEN: Final = "…"


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
        proton_density=any(_PROTON_DENSITY.fullmatch(word) for word in words),
    )


def is_perfusion(unwanted: str | None) -> bool:
    """Tell whether a word that rules a series out names perfusion with contrast agent.

    Args:
        unwanted: As `TextHint.unwanted`.
    """
    return unwanted is not None and bool(_PERFUSION.fullmatch(unwanted))


def plain_description(description: str) -> str:
    """Return a description with every word left out that no protocol uses: it may be a name or a number of a patient.

    Args:
        description: Free text in any spelling.

    Examples:
        >>> plain_description("AX T1 MPRAGE post GAD Smith")
        'AX T1 MPRAGE post GAD …'
    """
    shown = []
    for word in re.split(r"[\s_]+", description.strip()):
        parts = [part for part in re.findall(r"[a-z0-9]+", _unaccented(word)) if not _is_plain(part)]
        shown.append(_HIDDEN if parts or not word.isprintable() else word)
    return " ".join(shown)


def _is_plain(word: str) -> bool:
    known = (_PLAIN, _UNWANTED, _PROTON_DENSITY, _AGENT, _AFTER, _ABSENT, _NEGATION, _T1_NAME, _FLAIR_NAME)
    return word in MODALITY_ALIASES or any(pattern.fullmatch(word) for pattern in known)


def _unaccented(words: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", words.lower()) if not unicodedata.combining(c))


def _words(description: str) -> list[str]:
    lowered = _unaccented(description).replace("_", " ")
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
        negated = bool(_NEGATION.fullmatch(word)) or (negated and word in _LINKS)
    return agent, absent
