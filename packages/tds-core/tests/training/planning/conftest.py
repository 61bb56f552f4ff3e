from collections.abc import Callable

import pytest

from tds_core.training.config import TrainingConfig, apply_overrides, parse
from tds_core.training.planning import CaseFacts, Fingerprint
from tds_data.task import BRAIN_TUMOUR, Task

Triple = tuple[float, float, float]


@pytest.fixture
def like() -> Callable[..., Fingerprint]:
    """Make up a data set whose cases are all alike, or as given."""

    def make(  # a keyword for everything that plans look at
        shape: tuple[int, int, int] = (140, 170, 140),
        spacing_mm: Triple = (1.0, 1.0, 1.0),
        *,
        cases: int = 20,
        task: Task = BRAIN_TUMOUR,
        spacings: list[Triple] | None = None,
        without_label: str = "",
        without_channel: str = "",
        phantoms: int = 0,
    ) -> Fingerprint:
        facts = tuple(
            CaseFacts(
                name=str(number),
                spacing_mm=spacing,
                whole=shape,
                shape=shape,
                foreground_share=0.5,
                intensities={c: (0.0, 1.0, 2.0) for c in task.channels if c != without_channel},
                label_ml={label: 0.0 if label == without_label else 5.0 for label in task.labels},
                lesions_ml=dict.fromkeys(task.regions, (3.0, 2.0)),
            )
            for number, spacing in enumerate(spacings or [spacing_mm] * cases)
        )
        return Fingerprint(task=task, cases=facts, labelled=len(facts), phantoms=phantoms)

    return make


@pytest.fixture
def configured() -> Callable[..., TrainingConfig]:
    """Read a training configuration of a few settings."""

    def make(*settings: str) -> TrainingConfig:
        document = {"name": "planned", "data": {"datasets": [{"path": "data"}]}}
        return parse(TrainingConfig, apply_overrides(document, settings))

    return make
