"""The codes and colours that all written objects name things by.

Every code is one that the DICOM standard itself lists (PS3.16, edition 2024 or later); the comment beside it names the
context group. SNOMED CT codes are used under the agreement that lets DICOM objects hold them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydicom.dataset import Dataset

from tds_data.vocabulary import Label, Region

CieLab = tuple[int, int, int]
"""A colour as DICOM stores it: CIELAB under D50, each part scaled to 0 to 65535 (PS3.3, section C.10.7.1.1)."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept (PS3.3, section 8).

    Attributes:
        value: Code Value.
        scheme: Coding Scheme Designator, such as `SCT` for SNOMED CT.
        meaning: Code Meaning, in the words of the standard.
    """

    value: str
    scheme: str
    meaning: str

    def to_dataset(self) -> Dataset:
        """Return the item of a code sequence."""
        item = Dataset()
        item.CodeValue = self.value
        item.CodingSchemeDesignator = self.scheme
        item.CodeMeaning = self.meaning
        return item


MORPHOLOGICALLY_ABNORMAL: Final = Code("49755003", "SCT", "Morphologically Abnormal Structure")  # CID 7150
"""The category of all segments: what disease has made of the tissue."""

BACKGROUND: Final = Code("125040", "DCM", "Background")  # CID 7159
"""What the number 0 of a label map is."""

BRAIN: Final = Code("12738006", "SCT", "Brain")  # CID 7153
"""The anatomic region of all segments, and the finding site."""

ARTIFICIAL_INTELLIGENCE: Final = Code("123110", "DCM", "Artificial Intelligence")  # CID 7162
"""The family of the algorithm."""

LABEL_CODES: Final[Mapping[Label, Code]] = MappingProxyType(
    {
        Label.NCR: Code("6574001", "SCT", "Necrosis"),
        Label.ED: Code("79654002", "SCT", "Edema"),
        Label.ET: Code("C113842", "NCIt", "Enhancing Lesion"),
    }
)
"""What each label is: CID 7168, Brain Lesion Segmentation Type With Necrosis.

SNOMED CT has no code for the enhancing part of a tumour; the context group takes it from the NCI Thesaurus.
"""

REGION_CODES: Final[Mapping[Region, Code]] = MappingProxyType(
    {
        Region.WT: Code("52988006", "SCT", "Lesion"),
        Region.TC: Code("108369006", "SCT", "Neoplasm"),
        Region.ET: LABEL_CODES[Label.ET],
    }
)
"""What each nested region is: CID 7159, Lesion Segmentation Types.

The whole tumour is more than neoplasm, because it has the oedema.
"""

VOLUME: Final = Code("118565006", "SCT", "Volume")  # CID 7472
LONG_AXIS: Final = Code("103339001", "SCT", "Long Axis")  # CID 7470
SHORT_AXIS: Final = Code("103340004", "SCT", "Short Axis")  # CID 7470
CENTER_OF_MASS: Final = Code("128138", "DCM", "Center of Mass")  # CID 1011

MEASUREMENT_CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {"volume": VOLUME, "longest": LONG_AXIS, "perpendicular": SHORT_AXIS, "centroid": CENTER_OF_MASS}
)
"""What is measured; `perpendicular` is the longest line at right angles to `longest` in its slice."""

CUBIC_CENTIMETRE: Final = Code("cm3", "UCUM", "cubic centimeter")  # CID 7462
MILLIMETRE: Final = Code("mm", "UCUM", "mm")  # CID 7460

UNIT_CODES: Final[Mapping[str, Code]] = MappingProxyType(
    {"volume": CUBIC_CENTIMETRE, "longest": MILLIMETRE, "perpendicular": MILLIMETRE}
)
"""The unit of each measurement in DICOM, which lists cubic centimetres (CID 7462) and not the equal millilitres."""

SEGMENTATION: Final = Code("113076", "DCM", "Segmentation")  # CID 7203
"""How the segmentation was derived from its source."""

SOURCE_IMAGE_FOR_SEGMENTATION: Final = Code("121322", "DCM", "Source image for image processing operation")  # CID 7202
"""Why the segmentation refers to a source frame."""

LABEL_CIELAB: Final[Mapping[Label, CieLab]] = MappingProxyType(
    {Label.NCR: (35976, 44539, 49401), Label.ED: (45400, 28579, 23766), Label.ET: (58687, 30716, 52165)}
)
"""The colour of each label: `tds_clinical.reports.paint.LABEL_COLOURS` in CIELAB."""

IMAGING_MEASUREMENT_REPORT: Final = Code("126000", "DCM", "Imaging Measurement Report")  # CID 7021
"""What the structured report is."""

MRI_HEAD_REPORT: Final = Code("24590-2", "LN", "MRI Head Report")  # CID 7000
"""What the report for people is."""

MR_BRAIN: Final = Code("24590-2", "LN", "MR Brain")
"""The procedure that results are about; LOINC has one code for it and for its report."""

SUM_OF_VOXELS: Final = Code("126030", "DCM", "Sum of segmented voxel method for volume")  # CID 7474
"""How volumes are measured."""

TOTAL: Final = Code("255619001", "SCT", "Total")  # CID 7464
"""How the volumes of a whole study are derived from those of its lesions."""

UPPER_UNCERTAINTY: Final = Code("371886008", "SCT", "+, range of upper measurement uncertainty")  # TID 310
LOWER_UNCERTAINTY: Final = Code("371885007", "SCT", "-, range of lower measurement uncertainty")  # TID 310

ABSENT: Final = Code("272519000", "SCT", "Absent")  # CID 240
COMMENT: Final = Code("121106", "DCM", "Comment")
