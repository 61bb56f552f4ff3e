import subprocess
import sys
from pathlib import Path

import pytest

from tds_data import formats
from tds_data.formats import Format, format_of, image_stem, is_image_name


@pytest.mark.parametrize(
    ("name", "kind", "stem"),
    [
        ("a/scan.1.NII.GZ", Format.NIFTI, "scan.1"),
        ("t1.nii", Format.NIFTI, "t1"),
        ("t1.nrrd", Format.NRRD, "t1"),
        ("t1.nhdr", Format.NRRD, "t1"),
        ("x.seg.nrrd", Format.NRRD, "x.seg"),
        ("t1.MHA", Format.METAIMAGE, "t1"),
        ("t1.mhd", Format.METAIMAGE, "t1"),
        ("t1.npz", Format.NPZ, "t1"),
        ("t1.raw", None, "t1.raw"),
        ("t1.gz", None, "t1.gz"),
        ("nii", None, "nii"),
        (".nii.gz", Format.NIFTI, ""),
    ],
)
def test_name_says_the_format(name: str, kind: Format | None, stem: str) -> None:
    assert format_of(Path(name)) is kind
    assert is_image_name(Path(name)) == (kind is not None)
    assert image_stem(Path(name)) == stem


def test_names_need_no_numpy() -> None:
    code = "import sys; from tds_data.formats import is_image_name; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # our own code


def test_every_public_name_is_there() -> None:
    assert all(getattr(formats, name) is not None for name in formats.__all__)
    assert dir(formats) == sorted(formats.__all__)
    with pytest.raises(AttributeError, match="no attribute 'absent'"):
        _ = formats.absent
