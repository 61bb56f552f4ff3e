import importlib.util
from collections.abc import Callable

import pytest

from tds_data.phantoms import Phantom, PhantomConfig, synthesize

Make = Callable[..., Phantom]
COARSE_MM = 4.0


@pytest.fixture(autouse=True, scope="package")
def _needs_anatomy() -> None:
    if importlib.util.find_spec("nilearn") is None:
        pytest.skip("the anatomy comes with the extra `phantom`")


@pytest.fixture(scope="session")
def make() -> Make:
    """Make a phantom; the same one is made once."""
    made: dict[PhantomConfig, Phantom] = {}

    def get(seed: int, **changes: object) -> Phantom:
        config = PhantomConfig(**({"seed": seed, "spacing_mm": COARSE_MM} | changes))
        if config not in made:
            made[config] = synthesize(config)
        return made[config]

    return get
