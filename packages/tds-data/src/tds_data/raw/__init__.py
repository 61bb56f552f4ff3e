"""From a raw study to registered, stripped sequences, and masks back to where the study was.

Registration, bias correction and defacing need the extra `register`, skull stripping the extra `strip`; carrying masks
back needs neither. Names are loaded when they are first used.
"""

from typing import TYPE_CHECKING

from tds_data._lazy import lazy_names

if TYPE_CHECKING:
    from tds_data.raw.atlas import atlas_brain, load_atlas
    from tds_data.raw.bias import BiasConfig, correct_bias
    from tds_data.raw.deface import DefaceConfig, face_region, remove_face
    from tds_data.raw.pipeline import PreparedStudy, RawConfig, prepare_raw, reference_of
    from tds_data.raw.plan import (
        Grid,
        MaskRule,
        NativeSequence,
        Plan,
        Space,
        load_plan,
        save_plan,
        to_native,
        to_prepared,
    )
    from tds_data.raw.register import RegisterConfig, Registration, register_affine, register_rigid
    from tds_data.raw.resampling import resample_shares, resample_to
    from tds_data.raw.strip import StripConfig, StripMode, find_brain, is_stripped

__all__ = [
    "BiasConfig",
    "DefaceConfig",
    "Grid",
    "MaskRule",
    "NativeSequence",
    "Plan",
    "PreparedStudy",
    "RawConfig",
    "RegisterConfig",
    "Registration",
    "Space",
    "StripConfig",
    "StripMode",
    "atlas_brain",
    "correct_bias",
    "face_region",
    "find_brain",
    "is_stripped",
    "load_atlas",
    "load_plan",
    "prepare_raw",
    "reference_of",
    "register_affine",
    "register_rigid",
    "remove_face",
    "resample_shares",
    "resample_to",
    "save_plan",
    "to_native",
    "to_prepared",
]


__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "atlas": ("atlas_brain", "load_atlas"),
        "bias": ("BiasConfig", "correct_bias"),
        "deface": ("DefaceConfig", "face_region", "remove_face"),
        "pipeline": ("PreparedStudy", "RawConfig", "prepare_raw", "reference_of"),
        "plan": (
            "Grid",
            "MaskRule",
            "Space",
            "NativeSequence",
            "Plan",
            "load_plan",
            "save_plan",
            "to_native",
            "to_prepared",
        ),
        "register": ("RegisterConfig", "Registration", "register_affine", "register_rigid"),
        "resampling": ("resample_shares", "resample_to"),
        "strip": ("StripMode", "StripConfig", "find_brain", "is_stripped"),
    },
)
