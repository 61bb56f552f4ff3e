"""Where a run is written down besides its folder, and what never stops it.

`open_tracker` gives a tracker that notes everything in a journal in the run folder first. A process beside the training
(`__main__`) delivers the journal to MLflow and TensorBoard, in order and at their pace; what it cannot deliver waits.
"""

from tds_core.training.tracking.facts import RunFacts, code_facts, machine_facts
from tds_core.training.tracking.opening import check_tracking, open_tracker, replay
from tds_core.training.tracking.tracker import FinishLimits, JournalTracker, SilentTracker

__all__ = [
    "FinishLimits",
    "JournalTracker",
    "RunFacts",
    "SilentTracker",
    "check_tracking",
    "code_facts",
    "machine_facts",
    "open_tracker",
    "replay",
]
