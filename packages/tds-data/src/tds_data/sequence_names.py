"""What the name of an image file says about its sequence.

Names are cut into words at everything that is neither letter nor digit. One word (`t1ce`) or two neighbours (`t1-gd`)
may name a sequence; words for contrast agent (`post`, `gd`, the entity `ce-gadolinium` of BIDS) turn T1 into T1ce.
"""

import re
from pathlib import Path
from typing import Final

from tds_data.errors import AmbiguousSequence
from tds_data.formats.names import image_stem
from tds_data.vocabulary import MODALITY_ALIASES, Modality

_REFERENCE_WORDS: Final = frozenset({"seg", "segmentation", "dseg", "label", "labels", "gt", "groundtruth"})
_MASK_WORDS: Final = frozenset({"mask", "brainmask", "probseg", *_REFERENCE_WORDS})
_CONTRAST_WORDS: Final = frozenset({"ce", "gd", "gad", "gado", "gadolinium", "contrast", "post", "postcontrast"})
_NOT_BEFORE: Final = frozenset({"pre", "no", "non", "without", "wo"})
_NOT_AFTER: Final = frozenset({"none", "no", "pre", "op", "surgery", "treatment", "rt"})
_PHANTOM: Final = re.compile(r"(?:sub-)?phantom-?(\d{4,})(?![0-9a-z])")
_CHANNEL: Final = re.compile(r"^(?P<study>.+)_(?P<channel>\d{4})$")


def modality_of(path: Path) -> Modality | None:
    """Return the sequence that a file's name stands for, or `None` if it names none or is a mask's.

    Args:
        path: Only its name is looked at.

    Raises:
        AmbiguousSequence: If the name holds two different sequences.

    Examples:
        >>> modality_of(Path("BraTS-GLI-00005-000-t1c.nii.gz"))
        <Modality.T1CE: 't1ce'>
    """
    words = _words(image_stem(path))
    if _MASK_WORDS.intersection(words):
        return None
    found = {modality for modality, _, _ in _mentions(words)}
    if len(found) > 1:
        message = f"{path.name!r} names {' and '.join(sorted(found))}; rename the file after the one that it holds"
        raise AmbiguousSequence(message)
    modality = next(iter(found), None)
    return Modality.T1CE if modality is Modality.T1 and _mentions_contrast(words) else modality


def names_sequence(path: Path) -> bool:
    """Tell whether a file's name holds a sequence, be it two different ones, or ends in a channel number.

    Args:
        path: Only its name is looked at.
    """
    words = _words(image_stem(path))
    return channel_of(path) is not None or (not _MASK_WORDS.intersection(words) and bool(_mentions(words)))


def is_reference(path: Path) -> bool:
    """Tell whether a file is named as an expert's segmentation: `seg`, `dseg`, `label`, `gt`, without a sequence.

    Args:
        path: Only its name is looked at.
    """
    words = _words(image_stem(path))
    return bool(words) and words[-1] in _REFERENCE_WORDS and not _mentions(words)


def study_of(path: Path) -> str:
    """Return a file's name without the words for its sequence: what the files of one study share.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> study_of(Path("BraTS2021_00002_t1ce.nii.gz"))
        'brats2021-00002'
    """
    words = _words(image_stem(path))
    mentions = _mentions(words)
    dropped = {index for _, first, last in mentions for index in range(first, last + 1)}
    if not mentions and words and words[-1] in _REFERENCE_WORDS:
        dropped = {len(words) - 1}
    return "-".join(word for index, word in enumerate(words) if index not in dropped and word not in _CONTRAST_WORDS)


def channel_of(path: Path) -> tuple[str, int] | None:
    """Return study and channel number of a name such as `BRATS_001_0003.nii.gz`, or `None`.

    Args:
        path: Only its name is looked at.
    """
    match = _CHANNEL.match(image_stem(path))
    return None if match is None else (match["study"], int(match["channel"]))


def phantom_of(path: Path) -> str | None:
    """Return the phantom that a file's name stands for, or `None` if it is not named as our phantoms are in any layout.

    Args:
        path: Only its name is looked at.

    Examples:
        >>> phantom_of(Path("sub-phantom0007_T1w.nii.gz"))
        'phantom-0007'
    """
    match = _PHANTOM.match(path.name)
    return None if match is None else f"phantom-{match[1]}"


def alias(text: str) -> Modality | None:
    """Return the sequence that a word from a description stands for, or `None`.

    Args:
        text: Such as `T1w`, `t1gd` or `T2-FLAIR`.
    """
    return MODALITY_ALIASES.get("".join(_words(text)))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]


def _mentions_contrast(words: list[str]) -> bool:
    around = zip(["", *words], words, [*words[1:], ""], strict=False)
    return any(
        word in _CONTRAST_WORDS and before not in _NOT_BEFORE and after not in _NOT_AFTER
        for before, word, after in around
    )


def _mentions(words: list[str]) -> list[tuple[Modality, int, int]]:
    """Return sequences with the first and last word that names each; two words together go before one."""
    found = []
    index = 0
    while index < len(words):
        for length in (2, 1):
            modality = MODALITY_ALIASES.get("".join(words[index : index + length]))
            if modality is not None and index + length <= len(words):
                found.append((modality, index, index + length - 1))
                index += length - 1
                break
        index += 1
    return found
