"""The pictures of a study, each drawn once and shared by all documents."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from tds_clinical.reports.language import Words
from tds_clinical.reports.paint import PaintStyle
from tds_clinical.reports.scene import Scene, Stop, stops
from tds_clinical.reports.slices import Pixels
from tds_clinical.reports.strips import draw_marks, grey_tiles, strip
from tds_data.report import Lesion
from tds_data.vocabulary import Modality

IN_FULL: Final = 3
"""How many lesions, the largest first, are shown on every sequence."""

_FULL_PX: Final = 384
_SMALL_PX: Final = 256
_JPEG_QUALITY: Final = 85
_STYLES: Final = (PaintStyle.CONTOUR, PaintStyle.FILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Which picture.

    Attributes:
        stop: Number of the place, from 0.
        modality: The sequence.
        style: How labels are drawn, `None` for none.
    """

    stop: int
    modality: Modality
    style: PaintStyle | None


class Album:
    """The pictures of one study. Each is drawn when it is first asked for, and then kept.

    Attributes:
        scene: The study.
        stops: Where to look: the lesions in the report's order, or the middle of the head if there is none.
    """

    def __init__(self, scene: Scene, lesions: Sequence[Lesion], words: Words) -> None:
        self.scene = scene
        large, small = tuple(lesions[:IN_FULL]), tuple(lesions[IN_FULL:])
        self.stops: tuple[Stop, ...] = stops(scene, large, size_px=_FULL_PX, styles=_STYLES)
        if small:
            self.stops += stops(scene, small, size_px=_SMALL_PX, styles=_STYLES)
        self._words = words
        self._marks: dict[int, Image.Image] = {}
        self._greys: dict[tuple[int, Modality], tuple[Pixels, ...]] = {}
        self._images: dict[Shot, Image.Image] = {}
        self._jpegs: dict[Shot, bytes] = {}

    def image(self, shot: Shot) -> Image.Image:
        """Return a picture: the three planes side by side.

        Args:
            shot: Which picture.

        Returns:
            RGB picture; not to be changed.
        """
        if shot not in self._images:
            stop = self.stops[shot.stop]
            if shot.stop not in self._marks:
                self._marks[shot.stop] = draw_marks(self.scene, stop, self._words)
            key = (shot.stop, shot.modality)
            if key not in self._greys:
                self._greys[key] = grey_tiles(self.scene, shot.modality, stop)
            self._images[shot] = strip(self._greys[key], stop, style=shot.style, marks=self._marks[shot.stop])
        return self._images[shot]

    def jpeg(self, shot: Shot) -> bytes:
        """Return a picture as a JPEG file.

        Args:
            shot: Which picture.
        """
        if shot not in self._jpegs:
            buffer = io.BytesIO()
            # Full colour resolution: halved chroma would smear the one-pixel outlines.
            self.image(shot).save(buffer, format="JPEG", quality=_JPEG_QUALITY, subsampling=0)
            self._jpegs[shot] = buffer.getvalue()
        return self._jpegs[shot]
