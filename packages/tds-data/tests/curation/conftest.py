import hashlib
import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from archive_server import Site, serving

from tds_data.curation import CC_BY_SA_4, Release

CONTENT = np.random.default_rng(5).bytes(300_000)


def decathlon_like() -> bytes:
    """A tar as the Decathlon packs them, with the junk of a Mac."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in (
            ("._Task99_Test", b"junk"),
            ("Task99_Test/dataset.json", b"{}"),
            ("Task99_Test/imagesTr/T_001.nii.gz", CONTENT),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


PACKED = decathlon_like()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(PACKED)) as running:
        yield running


@pytest.fixture
def release(site: Site) -> Release:
    return Release(
        name="Task99_Test",
        url=f"{site.url}/Task99_Test.tar",
        md5=hashlib.md5(PACKED, usedforsecurity=False).hexdigest(),
        licence=CC_BY_SA_4,
        citation="nobody",
    )
