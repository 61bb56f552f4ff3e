"""What to train with: voxels, patches, batch and network, fitted to the data and to the device's memory."""

from tds_core.training.planning.case_facts import CaseFacts
from tds_core.training.planning.fingerprint import Fingerprint, Source, take_fingerprint
from tds_core.training.planning.make import check_plan, make_plan
from tds_core.training.planning.memory import Load, Memory, estimate_memory
from tds_core.training.planning.plan import Plan, apply_plan, plan_text, read_plan, write_plan

__all__ = [
    "CaseFacts",
    "Fingerprint",
    "Load",
    "Memory",
    "Plan",
    "Source",
    "apply_plan",
    "check_plan",
    "estimate_memory",
    "make_plan",
    "plan_text",
    "read_plan",
    "take_fingerprint",
    "write_plan",
]
