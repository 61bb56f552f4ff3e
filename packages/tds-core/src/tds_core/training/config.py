"""What a training run is told, read from YAML; unknown keys are errors."""

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from tds_core.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Shape of the SegResNet (Myronenko 2018, arXiv:1810.11654).

    Attributes:
        init_filters: Channels of the first level; doubled at each level below.
        blocks_down: Residual blocks of each encoder level.
        blocks_up: Residual blocks of each decoder level.
        in_channels: Input sequences.
        out_channels: Output regions.
    """

    init_filters: int = 16
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    in_channels: int = 4
    out_channels: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where training data lies and how it is split.

    Attributes:
        cases: Folder with one sub-folder of named NIfTI files per patient.
        validation: Names of the sub-folders that are never trained on.
        lesion_cubes: NPZ file of real lesion cubes (`x`, `scale`, `y`, `case`, `spacing_mm`), or none.
        tumour_shapes: NPZ file of whole-head label maps (`seg`, `case`, `spacing_mm`), or none.
        exclude: Identifiers in `case` of the NPZ files that belong to validation patients.
        phantoms: How many synthetic patients to add.
        spacing_mm: Edge of the isotropic voxels that the network sees, millimetres.
    """

    cases: Path
    validation: tuple[str, ...]
    lesion_cubes: Path | None = None
    tumour_shapes: Path | None = None
    exclude: tuple[str, ...] = ()
    phantoms: int = 0
    spacing_mm: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingConfig:
    """How patches are drawn and changed.

    Attributes:
        patch: Voxels along each axis of a patch; a multiple of 8.
        batch: Patches in a step.
        phantom_share: Share of patches drawn from phantoms.
        cube_share: Share of patches that get real lesions of other patients.
        shape_share: Share of patches that get a synthetic tumour of a real shape.
        foreground_share: Share of patches centred on a tumour voxel.
        thick_slice_share: Probability that a sequence is turned into thick slices.
        keep_all_share: Probability that no sequence is dropped; otherwise one to three are.
    """

    patch: int = 64
    batch: int = 2
    phantom_share: float = 0.1
    cube_share: float = 0.45
    shape_share: float = 0.15
    foreground_share: float = 0.6
    thick_slice_share: float = 0.1
    keep_all_share: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimiserConfig:
    """AdamW with warm-up and polynomial decay.

    Attributes:
        steps: Optimiser steps in the whole run.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay.
        warmup_steps: Steps of linear warm-up.
        power: Exponent of the polynomial decay.
        clip_norm: Largest gradient norm.
        average_decay: Decay of the exponential moving average of the weights, which is what is evaluated and exported.
    """

    steps: int = 4000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    power: float = 0.9
    clip_norm: float = 5.0
    average_decay: float = 0.998


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """A whole training run.

    Attributes:
        data: Where the data lies.
        network: Shape of the network.
        sampling: How patches are drawn.
        optimiser: How weights move.
        seed: Seed of initial weights and of every patch.
        validate_every: Steps between evaluations on the validation patients.
        checkpoint_every: Steps between checkpoints.
    """

    data: DataConfig
    network: NetworkConfig = field(default_factory=NetworkConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = 0
    validate_every: int = 500
    checkpoint_every: int = 250


def load_config(path: Path) -> TrainingConfig:
    """Return the training run that a YAML file describes.

    Args:
        path: The file; `~` and environment variables in it are not expanded.

    Raises:
        ConfigError: If the file cannot be read, a key is unknown or a value is of the wrong kind.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        message = f"cannot read the configuration {path.name!r}: {error}"
        raise ConfigError(message) from error
    return parse(TrainingConfig, document, "")


def parse(kind: type[T], document: object, where: str) -> T:
    """Return a configuration dataclass from plain YAML values.

    Args:
        kind: The dataclass.
        document: A mapping of its fields.
        where: Dotted path of the mapping inside the file, for messages.

    Raises:
        ConfigError: If a key is unknown or missing or a value is of the wrong kind.
    """
    if not isinstance(document, Mapping):
        message = f"{where or 'the configuration'} must be a mapping of keys to values, not {type(document).__name__}"
        raise ConfigError(message)
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # every caller passes a dataclass
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known keys: {', '.join(known)}"
            message = f"unknown key {where}{key!r}{hint}"
            raise ConfigError(message)
    hints = get_type_hints(kind)
    values = {k: _value(hints[k], v, f"{where}{k}") for k, v in document.items()}
    try:
        return kind(**values)
    except TypeError as error:
        message = f"{where or 'the configuration'} is incomplete: {error}"
        raise ConfigError(message) from error


def as_document(config: TrainingConfig) -> dict[str, Any]:
    """Return the configuration as plain YAML values, every default filled in.

    Args:
        config: The resolved configuration.
    """

    def plain(value: object) -> object:
        if isinstance(value, Mapping):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, tuple | list):
            return [plain(v) for v in value]
        return str(value) if isinstance(value, Path) else value

    return {k: plain(v) for k, v in asdict(config).items()}


def _value(hint: Any, value: Any, where: str) -> Any:  # noqa: ANN401  # YAML values of any kind
    if is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, value, f"{where}.")
    options = get_args(hint)
    if type(None) in options:
        return None if value is None else _value(next(o for o in options if o is not type(None)), value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            message = f"{where} must be a list, not {value!r}"
            raise ConfigError(message)
        return tuple(_value(options[0], item, where) for item in value)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        message = f"{where} must be {hint.__name__}, not {value!r}"
        raise ConfigError(message)
    return value
