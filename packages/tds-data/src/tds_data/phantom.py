"""The short way to a phantom: `make_phantom(PhantomConfig(seed=7))`. Everything behind it is in `tds_data.phantoms`."""

from tds_data.phantoms.config import PhantomConfig
from tds_data.phantoms.plan import TumourKind
from tds_data.phantoms.synthesis import make_phantom

__all__ = ["PhantomConfig", "TumourKind", "make_phantom"]
