"""Letters of five by seven pixels, so that every picture can carry its marks wherever it is drawn."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_WIDTH: Final = 5
_HEIGHT: Final = 7
_UNKNOWN: Final = "?"

# Seven rows a letter, two hexadecimal digits a row; the lowest bit is the rightmost pixel.
_GLYPHS: Final = {
    " ": "00000000000000",
    "A": "0e11111f111111",
    "B": "1e11111e11111e",
    "C": "0e11101010110e",
    "D": "1e11111111111e",
    "E": "1f10101e10101f",
    "F": "1f10101e101010",
    "G": "0e11101711110f",
    "H": "1111111f111111",
    "I": "0e04040404040e",
    "J": "0702020202120c",
    "K": "11121418141211",
    "L": "1010101010101f",
    "M": "111b1515111111",
    "N": "11111915131111",
    "O": "0e11111111110e",
    "P": "1e11111e101010",
    "Q": "0e11111115120d",
    "R": "1e11111e141211",
    "S": "0f10100e01011e",
    "T": "1f040404040404",
    "U": "1111111111110e",
    "V": "11111111110a04",
    "W": "1111111515150a",
    "X": "11110a040a1111",
    "Y": "11110a04040404",
    "Z": "1f01020408101f",
    "0": "0e11131519110e",
    "1": "040c040404040e",
    "2": "0e11010204081f",
    "3": "1f02040201110e",
    "4": "02060a121f0202",
    "5": "1f101e0101110e",
    "6": "0608101e11110e",
    "7": "1f010204080808",
    "8": "0e11110e11110e",
    "9": "0e11110f01020c",
    ".": "00000000000c0c",
    ",": "000000000c0408",
    "-": "0000001f000000",
    "_": "0000000000001f",
    "+": "0004041f040400",
    "=": "00001f001f0000",
    ":": "000c0c000c0c00",
    "/": "01010204081010",
    "%": "18190204081303",
    "(": "02040808080402",
    ")": "08040202020408",
    _UNKNOWN: "0e110102040004",
}


def text_width(text: str, *, scale: int) -> int:
    """Return how many pixels wide a text is drawn.

    Args:
        text: One line.
        scale: Edge of a letter's dots, pixels.
    """
    return max(0, len(text.upper()) * (_WIDTH + 1) - 1) * scale  # some letters have capitals of two


def text_height(*, scale: int) -> int:
    """Return how many pixels high a line is drawn.

    Args:
        scale: Edge of a letter's dots, pixels.
    """
    return _HEIGHT * scale


def text_mask(text: str, *, scale: int) -> NDArray[np.bool_]:
    """Return where the ink of a text is.

    Args:
        text: One line; capitals stand for small letters, a question mark for what there is no letter for.
        scale: Edge of a letter's dots, pixels.

    Returns:
        Boolean array of shape (`text_height`, `text_width`).

    Examples:
        >>> text_mask("L", scale=1).sum(axis=0).tolist()
        [7, 1, 1, 1, 1]
    """
    columns = [np.zeros((_HEIGHT, 0), dtype=np.bool_)]
    for letter in text.upper():
        columns += [_glyph(letter), np.zeros((_HEIGHT, 1), dtype=np.bool_)]
    dots = np.hstack(columns[:-1]) if text else columns[0]
    return dots.repeat(scale, axis=0).repeat(scale, axis=1)


def _glyph(letter: str) -> NDArray[np.bool_]:
    rows = np.frombuffer(bytes.fromhex(_GLYPHS.get(letter, _GLYPHS[_UNKNOWN])), dtype=np.uint8)
    return np.unpackbits(rows[:, None], axis=1)[:, 8 - _WIDTH :].astype(np.bool_)
