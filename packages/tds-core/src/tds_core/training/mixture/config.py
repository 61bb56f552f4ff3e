"""What a training run is told, read from YAML; unknown keys are errors."""

import difflib
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import yaml

from tds_core.errors import ConfigError
from tds_core.windows import MULTIPLE

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

_GROUPS: Final = 8
_MAX_LEVELS: Final = 4
_BELOW_ONE: Final = math.nextafter(1.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Shape of the SegResNet (Myronenko 2018, arXiv:1810.11654).

    Attributes:
        init_filters: Channels of the first level, a multiple of 8; doubled at each level below.
        blocks_down: Residual blocks of each encoder level; at most four levels.
        blocks_up: Residual blocks of each decoder level, one level less.
        in_channels: Input sequences.
        out_channels: Output regions.
    """

    init_filters: int = 16
    blocks_down: tuple[int, ...] = (1, 2, 2, 4)
    blocks_up: tuple[int, ...] = (1, 1, 1)
    in_channels: int = 4
    out_channels: int = 3

    def __post_init__(self) -> None:
        _check_multiple("init_filters", self.init_filters, _GROUPS)
        if not 1 <= len(self.blocks_down) <= _MAX_LEVELS or len(self.blocks_up) != len(self.blocks_down) - 1:
            message = (
                f"blocks_down {list(self.blocks_down)} and blocks_up {list(self.blocks_up)} do not fit: "
                f"give one to {_MAX_LEVELS} levels down and one less up"
            )
            raise ConfigError(message)
        blocks = min(self.blocks_down + self.blocks_up)
        _check_ranges(1, math.inf, blocks=blocks, in_channels=self.in_channels, out_channels=self.out_channels)


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

    def __post_init__(self) -> None:
        _check_ranges(0, math.inf, phantoms=self.phantoms)
        _check_positive(spacing_mm=self.spacing_mm)


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

    def __post_init__(self) -> None:
        _check_multiple("patch", self.patch, MULTIPLE)
        _check_ranges(1, math.inf, batch=self.batch)
        _check_ranges(
            0,
            1,
            phantom_share=self.phantom_share,
            cube_share=self.cube_share,
            shape_share=self.shape_share,
            foreground_share=self.foreground_share,
            thick_slice_share=self.thick_slice_share,
            keep_all_share=self.keep_all_share,
        )


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

    def __post_init__(self) -> None:
        _check_ranges(1, math.inf, steps=self.steps)
        _check_positive(learning_rate=self.learning_rate, clip_norm=self.clip_norm)
        _check_ranges(0, math.inf, weight_decay=self.weight_decay, warmup_steps=self.warmup_steps, power=self.power)
        _check_ranges(0, _BELOW_ONE, average_decay=self.average_decay)


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

    def __post_init__(self) -> None:
        _check_ranges(0, math.inf, seed=self.seed)
        _check_ranges(1, math.inf, validate_every=self.validate_every, checkpoint_every=self.checkpoint_every)


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
    _check_keys(kind, document, where)
    hints = get_type_hints(kind)
    return kind(**{key: _value(hints[key], value, f"{where}{key}") for key, value in document.items()})


def as_document(config: TrainingConfig) -> dict[str, object]:
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


def _check_keys(kind: type[T], document: Mapping[object, object], where: str) -> None:
    known = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(kind)}
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            message = f"unknown key '{where}{key}'; {hint}"
            raise ConfigError(message)
    absent = [name for name, required in known.items() if required and name not in document]
    if absent:
        message = f"{where.rstrip('.') or 'the configuration'} lacks {', '.join(absent)}; add it"
        raise ConfigError(message)


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401  # a field's type, whatever it is
    options = get_args(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        return parse(hint, value, f"{where}.")
    if type(None) in options:
        return None if value is None else _value(next(o for o in options if o is not type(None)), value, where)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            message = f"{where} must be a list, not {value!r}"
            raise ConfigError(message)
        return tuple(_value(options[0], item, where) for item in value)
    return _scalar(hint, value, where)


def _scalar(kind: type, value: object, where: str) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        message = f"{where} must be of type {kind.__name__}, not {value!r}"
        raise ConfigError(message)
    return value


def _check_multiple(name: str, value: int, of: int) -> None:
    if value < 1 or value % of:
        message = f"{name} must be a positive multiple of {of}, not {value}"
        raise ConfigError(message)


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < math.inf:
            message = f"{name} must be a finite number above 0, not {value}"
            raise ConfigError(message)


def _check_ranges(low: float, high: float, **values: float) -> None:
    for name, value in values.items():
        if not low <= value <= high:
            wanted = f"at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
            message = f"{name} must be {wanted}, not {value}"
            raise ConfigError(message)
