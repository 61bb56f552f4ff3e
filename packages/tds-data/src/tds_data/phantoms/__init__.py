"""Phantom patients: a made-up glioma in a made-up head, as registered sequences with the exact truth.

The anatomy is the ICBM152 template (extra `phantom`) bent and folded into an individual. Lesions push it aside and soak
it; a scanner is simulated from tissues' relaxation times to noise. Phantoms are for tests, demonstrations and
pre-training. A figure measured on one says nothing about patients.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.phantoms.config import PhantomConfig
    from tds_data.phantoms.dataset import PhantomSet, draw_config, write_phantoms
    from tds_data.phantoms.motion import Pose
    from tds_data.phantoms.plan import TumourKind
    from tds_data.phantoms.scanner import Scan
    from tds_data.phantoms.sequences import Protocol, Technique
    from tds_data.phantoms.synthesis import Acquisition, Phantom, make_phantom, synthesize

__all__ = [
    "Acquisition",
    "Phantom",
    "PhantomConfig",
    "PhantomSet",
    "Pose",
    "Protocol",
    "Scan",
    "Technique",
    "TumourKind",
    "draw_config",
    "make_phantom",
    "synthesize",
    "write_phantoms",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "motion": ("Pose",),
        "scanner": ("Scan",),
        "sequences": ("Technique", "Protocol"),
        "config": ("PhantomConfig",),
        "dataset": ("PhantomSet", "draw_config", "write_phantoms"),
        "plan": ("TumourKind",),
        "synthesis": ("Acquisition", "Phantom", "make_phantom", "synthesize"),
    },
)
