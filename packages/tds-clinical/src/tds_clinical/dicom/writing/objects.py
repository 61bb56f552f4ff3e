"""What the writers share: references to objects and the modules that all of them hold."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from tds_clinical.dicom.study_time import study_zone
from tds_clinical.findings import ResultContext
from tds_clinical.uids import Uids

_PATIENT_AND_STUDY: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_NEVER_ABSENT: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


class ResultKind(StrEnum):
    """The objects that results are filed as."""

    SEGMENTATION = "seg"
    STRUCTURE_SET = "rtstruct"
    KEY_IMAGE = "key-image"
    REPORT = "report"
    STRUCTURED_REPORT = "sr"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReference:
    """Where a written object can be found.

    Attributes:
        kind: `seg`, `sr`, `rtstruct`, `key-image` or `report`.
        file_name: Its name in the result's folder.
        sop_class_uid: What it is.
        sop_instance_uid: Which one.
        series_uid: Its series.
        modality: Modality of its series.
    """

    kind: str
    file_name: str
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    modality: str


def add_patient_and_study(dataset: Dataset, context: ResultContext) -> None:
    """Give an object the patient and the study of the source (PS3.3, sections C.7.1.1 and C.7.2.1).

    Args:
        dataset: The object, changed.
        context: What it is about.
    """
    header = context.source.header
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _PATIENT_AND_STUDY:
        if keyword in header:
            dataset.add(header[keyword])  # as it is: a value that breaks its format in the source stays the same
        elif keyword in _NEVER_ABSENT:
            setattr(dataset, keyword, "")


def add_equipment(dataset: Dataset, context: ResultContext) -> None:
    """Give an object what made it (PS3.3, section C.7.5.1).

    Args:
        dataset: The object, changed.
        context: What it is about.
    """
    made_by = context.equipment
    dataset.Manufacturer = made_by.manufacturer
    dataset.ManufacturerModelName = made_by.model_name
    dataset.DeviceSerialNumber = made_by.serial_number
    dataset.SoftwareVersions = list(made_by.software) or [context.findings.report.model.version]


def local_time(context: ResultContext) -> datetime:
    """Return when results were made, in the time zone of their study.

    An object has one time zone for all its dates and times (PS3.3, section C.12.1), those copied from its source too.

    Args:
        context: What the object is about.
    """
    zone = study_zone(context.source.header)
    return context.made_at if zone is None else context.made_at.astimezone(zone)


def stamp(dataset: Dataset, made_at: datetime, *prefixes: str) -> None:
    """Give an object its dates and times.

    Args:
        dataset: The object, changed.
        made_at: When it was made, with a time zone.
        prefixes: Which pairs, such as `InstanceCreation`, `Content`, `Series`.
    """
    for prefix in prefixes:
        setattr(dataset, f"{prefix}Date", made_at.strftime("%Y%m%d"))
        setattr(dataset, f"{prefix}Time", made_at.strftime("%H%M%S.%f"))
    offset = made_at.strftime("%z")
    if offset:
        dataset.TimezoneOffsetFromUTC = offset


def add_file_meta(dataset: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
    """Give an object the preface that it needs as a file (PS3.10, section 7.1).

    Args:
        dataset: The object, changed; it has its SOP class and instance.
        syntax: Its transfer syntax.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta = meta


def device_uid(context: ResultContext) -> UID:
    """Return the UID of what made the results: one for everything that this software makes with this model.

    The FHIR Device is identified by the same number.

    Args:
        context: What the object is about.
    """
    made_by, model = context.equipment, context.findings.report.model
    software = made_by.software or (model.version,)
    parts = (made_by.manufacturer, made_by.model_name, made_by.serial_number, *software)
    of_model = (model.name, model.version, model.sha256, model.architecture, model.licence)
    return Uids.reproducible("device", *parts, *of_model).make("fhir", "device")


def instance_item(dataset: Dataset) -> Dataset:
    """Return the item of a sequence that refers to an object (PS3.3, section 10.8).

    Args:
        dataset: The object, or its header.
    """
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    return item


def reference_to(dataset: Dataset, kind: str, file_name: str) -> ObjectReference:
    """Return where an object can be found.

    Args:
        dataset: The object.
        kind: `seg`, `sr`, `rtstruct`, `key-image` or `report`.
        file_name: Its name in the result's folder.
    """
    return ObjectReference(
        kind=kind,
        file_name=file_name,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        series_uid=str(dataset.SeriesInstanceUID),
        modality=str(dataset.Modality),
    )
