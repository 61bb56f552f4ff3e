"""Phantoms, which know nothing of these checks, agree with them."""

import pytest

pytest.importorskip("nilearn", reason="phantoms need the extra `phantom`")

from tds_data import PhantomConfig, Severity, make_phantom
from tds_data.quality.content import check_content


@pytest.mark.parametrize("seed", [2, 3])
def test_phantom_gives_no_error(seed: int) -> None:
    flags = check_content(make_phantom(PhantomConfig(seed=seed, spacing_mm=1.5)))
    assert all(flag.severity is not Severity.ERROR for flag in flags), flags


def test_phantom_with_noise_is_named() -> None:
    flags = check_content(make_phantom(PhantomConfig(seed=3, spacing_mm=1.5, noise=0.2)))
    assert "LOW-SNR" in {flag.code for flag in flags}
