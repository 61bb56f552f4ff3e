import subprocess
import sys

import pytest

from tds_data import curation


def test_every_public_name_is_there() -> None:
    assert sorted(curation.__all__) == dir(curation)
    for name in curation.__all__:
        assert getattr(curation, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = curation.nothing


def test_importing_it_loads_nothing_heavy() -> None:
    program = "import sys, tds_data.curation; sys.exit(bool({'numpy', 'scipy', 'ssl', 'nibabel'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603
