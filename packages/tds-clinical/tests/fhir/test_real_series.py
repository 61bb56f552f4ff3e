"""Headers of real scanners as bundles, for the server and the validator to judge."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tds_clinical.dicom import read_source, scan_folder
from tds_clinical.fhir import FhirOptions, PushOptions, build_bundle, push_bundle
from tds_clinical.findings import ResultContext, find_findings
from tds_clinical.uids import Uids
from tds_data.report import LesionReport
from tds_data.volume import Volume

pytest.importorskip("fhir.resources")
pytest.importorskip("requests")

ROOT = os.environ.get("TDS_REAL_DATA")
DATA = Path(ROOT or ".") / "dicom" / "dcm_qa_nih"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not ROOT or not DATA.is_dir(), reason="TDS_REAL_DATA holds no dicom/dcm_qa_nih"),
]

Json = dict[str, Any]


def test_real_headers_make_bundles_that_the_peers_take(
    shared_medplum: str, r4_messages: Callable[[Json], list[Json]], empty_report: Callable[[Volume], LesionReport]
) -> None:
    bundles = []
    for series in islice(scan_folder(DATA / "In" / "20180918GE").series, 6):
        source = read_source(series)
        mask = Volume(np.zeros(source.shape, np.uint8), source.ras_from_voxel)
        uids = Uids.reproducible(series.uid)
        context = ResultContext(
            source=source,
            findings=find_findings(mask, empty_report(mask), uids),
            uids=uids,
            made_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        system = "urn:oid:2.999.2"
        options = FhirOptions(create_patient=True, patient_identifier_system=system, include_demographics=True)
        bundles.append(build_bundle(context, (), options=options))
    assert bundles
    for bundle in bundles:
        assert not [one for one in r4_messages(bundle) if one["severity"] in {"error", "fatal"}]
        push_bundle(bundle, shared_medplum, PushOptions(retries=0))
    assert push_bundle(bundles[0], shared_medplum, PushOptions(retries=0)).created == 0
