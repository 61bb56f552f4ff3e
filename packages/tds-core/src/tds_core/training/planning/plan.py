"""The plan: a file that says what was chosen and why, to be read and changed by people."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tds_core.errors import ConfigError
from tds_core.training.config import Shape, TrainingConfig, parse, read_document, to_document
from tds_core.training.config.checks import check_positive, check_ranges
from tds_data.atomic_file import write_text

PLAN_FORMAT: Final = 1
"""Version of the file."""

_HEAD: Final = (
    "# What to train with, and why. Change what you like: the values are used as they stand here, and a value in the\n"
    "# training configuration goes before. Reasons, warnings, memory and data tell how the plan was made.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a training run is to use where its configuration leaves it open.

    Attributes:
        network: Which network it is for.
        spacing_mm: Edges of the voxels that the network sees along x, y, z.
        patch: Voxels of a patch along x, y, z.
        batch: Patches of an optimiser step.
        micro_batch: Patches that go through the network at once; the whole batch if `None`.
        options: What the network is told.
        vram_target_bytes: What the run was fitted into.
        memory: Bytes that were estimated, by what takes them.
        data: What the data set was like.
        reasons: Why, in sentences, by what was decided.
        warnings: What somebody should look at.
        format: Version of the file.

    Raises:
        ConfigError: If a number is out of range, or the file is of another version.
    """

    network: str
    spacing_mm: tuple[float, float, float]
    patch: Shape
    batch: int
    micro_batch: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    vram_target_bytes: int = 8 * 1024**3
    memory: Mapping[str, int] = field(default_factory=dict)
    data: Mapping[str, object] = field(default_factory=dict)
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    format: int = PLAN_FORMAT

    def __post_init__(self) -> None:
        if self.format != PLAN_FORMAT:
            message = f"the plan has format {self.format}, and this program reads {PLAN_FORMAT}; plan again"
            raise ConfigError(message)
        check_positive(**dict(zip(("spacing x", "spacing y", "spacing z"), self.spacing_mm, strict=True)))
        check_ranges(1, float("inf"), **dict(zip(("patch x", "patch y", "patch z"), self.patch, strict=True)))
        check_ranges(1, float("inf"), batch=self.batch, vram_target_bytes=self.vram_target_bytes)
        check_ranges(1, self.batch, micro_batch=self.batch if self.micro_batch is None else self.micro_batch)


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as YAML, whole or not at all.

    Args:
        plan: The plan.
        path: Target; an existing file is replaced.

    Raises:
        VolumeWriteError: If it cannot be written (from tds_data).
    """
    write_text(path, plan_text(plan))


def plan_text(plan: Plan) -> str:
    """Return a plan as YAML.

    Args:
        plan: The plan.
    """
    return _HEAD + yaml.dump(to_document(plan), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def read_plan(path: Path) -> Plan:
    """Return the plan of a file.

    Args:
        path: A file of `write_plan`, changed or not.

    Raises:
        ConfigError: If it cannot be read, a key is unknown (the nearest is named) or a value cannot be.
    """
    return parse(Plan, read_document(path))


def apply_plan(config: TrainingConfig, plan: Plan) -> TrainingConfig:
    """Return a configuration with what it leaves open taken from a plan.

    Args:
        config: What is set in it stays.
        plan: Made for the same network.

    Raises:
        ConfigError: If it is for another network.
    """
    if plan.network != config.network.name:
        message = (
            f"the plan is for the network {plan.network!r}, and the configuration names {config.network.name!r}; "
            "plan again for that network, or set network.name"
        )
        raise ConfigError(message)
    sampling = config.sampling
    at_once = plan.micro_batch or plan.batch
    micro = sampling.micro_batch
    if micro is None and at_once < (sampling.batch or plan.batch):
        micro = at_once
    return replace(
        config,
        data=replace(config.data, spacing_mm=_or(config.data.spacing_mm, plan.spacing_mm)),
        sampling=replace(
            sampling, patch=_or(sampling.patch, plan.patch), batch=_or(sampling.batch, plan.batch), micro_batch=micro
        ),
        network=replace(config.network, options={**plan.options, **config.network.options}),
    )


def _or(given: Any, planned: Any) -> Any:  # noqa: ANN401  # any field of a configuration
    return planned if given is None else given


class _Dumper(yaml.SafeDumper):
    """Writes lists of numbers in one line, and everything else line by line."""

    def ignore_aliases(self, data: object) -> bool:
        """Write what occurs twice twice."""
        del data
        return True


def _list(dumper: yaml.SafeDumper, values: list[object]) -> yaml.Node:
    flat = all(isinstance(value, int | float) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=flat)


_Dumper.add_representer(list, _list)
