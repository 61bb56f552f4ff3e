import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.utils import pack_bits
from pydicom.uid import ExplicitVRLittleEndian

from tds_clinical.dicom.writing._check_segmentation import _stored_sums

FRAMES = 3


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def segmentation_of(pixels: np.ndarray) -> Dataset:
    """Return one bit for each voxel; each frame shows the segment of its own number, 2 mm above the one before."""
    dataset = item(Rows=pixels.shape[1], Columns=pixels.shape[2], NumberOfFrames=len(pixels), SamplesPerPixel=1)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 1, 1, 0, 0
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = pack_bits(pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    orientation, measures = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), item(PixelSpacing=[1, 1])
    dataset.SharedFunctionalGroupsSequence = [
        item(PlaneOrientationSequence=[orientation], PixelMeasuresSequence=[measures])
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 2 * n])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=n + 1)],
        )
        for n in range(len(pixels))
    ]
    return dataset


@pytest.mark.parametrize("left_over", range(8))
def test_frames_are_read_whatever_their_size_leaves_over_a_byte(left_over: int) -> None:
    pixels = np.random.default_rng(left_over).integers(0, 2, (FRAMES, 1, 16 + left_over)).astype(np.uint8)
    sums = _stored_sums(segmentation_of(pixels))
    for n, frame in enumerate(pixels):
        columns = np.nonzero(frame)[1]
        expected = [len(columns), columns.sum(), 0, 2 * n * len(columns)]
        assert sums[n + 1].tolist() == expected
