"""Bundles sent to a FHIR server, so that sending twice makes nothing twice."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from tds_clinical.errors import PushFailed
from tds_clinical.fhir._names import Json
from tds_clinical.fhir._outcomes import issue_words
from tds_clinical.fhir._transport import check_address, post
from tds_clinical.fhir.options import PushOptions

_LOCATION: Final = re.compile(r"([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$")
_RESPONSES: Final = frozenset({"transaction-response", "batch-response"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """What a server made of a bundle.

    Attributes:
        created: How many resources it made.
        existing: How many it had before, and left alone.
        updated: How many it had before, and replaced because somebody signed.
        locations: Where each resource is, such as `Observation/17`, in the order of the bundle; empty where the server
            did not say.
    """

    created: int
    existing: int
    updated: int
    locations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filed:
    """What became of one entry: its HTTP status and where the resource is."""

    status: int
    location: str
    replaces: bool


def push_bundle(bundle: Json, base_url: str, options: PushOptions | None = None) -> PushResult:
    """Return what a server made of a bundle.

    Whatever is tried again has the same identifiers, so nothing is made twice even if an answer got lost.

    Args:
        bundle: A transaction of `build_bundle`.
        base_url: Base of the server's FHIR interface, such as `https://fhir.example/r4`.
        options: Token, time-outs, retries.

    Raises:
        ClinicalDependency: If the extra `fhir` is not installed.
        PushFailed: If the address is not fit, the server cannot be reached or it does not take everything.
    """
    chosen = options or PushOptions()
    url = check_address(base_url, chosen)
    entries = _entries(bundle)
    size = chosen.max_entries or len(entries)
    filed: list[_Filed] = []
    known: dict[str, str] = {}
    for start in range(0, len(entries), size):
        sent = [entry | {"resource": _replace(entry["resource"], known)} for entry in entries[start : start + size]]
        answer = post(url, {"resourceType": "Bundle", "type": "transaction", "entry": sent}, chosen)
        filed += _filed(answer, sent, before=start)
        known = {entry["fullUrl"]: one.location for entry, one in zip(entries, filed, strict=False)}
    created = sum(one.status == HTTPStatus.CREATED for one in filed)
    updated = sum(one.status != HTTPStatus.CREATED and one.replaces for one in filed)
    return PushResult(
        created=created,
        updated=updated,
        existing=len(filed) - created - updated,
        locations=tuple(one.location for one in filed),
    )


def _entries(bundle: Json) -> list[Json]:
    message = "what is to be sent is no transaction bundle; give one that build_bundle made"
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        raise PushFailed(message)
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries or not all(_is_entry(entry) for entry in entries):
        raise PushFailed(message)
    return entries


def _is_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("fullUrl"), str):
        return False
    resource, request = entry.get("resource"), entry.get("request")
    has_type = isinstance(resource, dict) and isinstance(resource.get("resourceType"), str)
    return has_type and isinstance(request, dict) and isinstance(request.get("method"), str)


def _filed(answer: Json, sent: list[Json], *, before: int) -> Iterator[_Filed]:
    answered = answer.get("entry")
    if answer.get("type") not in _RESPONSES or not isinstance(answered, list) or len(answered) != len(sent):
        raise PushFailed("the server's answer does not tell what became of each entry; check what it holds now")
    for index, (entry, response) in enumerate(zip(sent, answered, strict=True), start=before + 1):
        yield _one_filed(index, entry, response)


def _one_filed(index: int, entry: Json, answered: object) -> _Filed:
    kind = entry["resource"]["resourceType"]
    whole: Mapping[str, Any] = answered if isinstance(answered, dict) else {}
    response = whole.get("response")
    response = response if isinstance(response, dict) else {}
    digits = str(response.get("status", ""))[:3]
    status = int(digits) if digits.isdecimal() else 0
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        told = issue_words(response.get("outcome"))
        refusal = f"the server refused entry {index} ({kind}) with {status}{f': {told}' if told else ''}"
        message = f"{refusal}; send it again once that is mended, and nothing is made twice"
        raise PushFailed(message, status=status)
    location = _location(response.get("location")) or _own_location(whole.get("resource"))
    return _Filed(status=status, location=location, replaces=entry["request"]["method"] == "PUT")


def _location(value: object) -> str:
    found = _LOCATION.search(value) if isinstance(value, str) else None
    return found[1] if found else ""


def _own_location(resource: object) -> str:
    if not isinstance(resource, dict):
        return ""
    kind, identity = resource.get("resourceType"), resource.get("id")
    return _location(f"{kind}/{identity}") if isinstance(kind, str) and isinstance(identity, str) else ""


def _replace(value: Any, known: Mapping[str, str]) -> Any:  # noqa: ANN401  # JSON of any kind
    if isinstance(value, dict):
        return {key: _replace(one, known) for key, one in value.items()} | _reference(value, known)
    return [_replace(one, known) for one in value] if isinstance(value, list) else value


def _reference(value: Json, known: Mapping[str, str]) -> Json:
    target = value.get("reference")
    if not isinstance(target, str) or target not in known:
        return {}
    if not known[target]:
        index = list(known).index(target) + 1
        message = f"the server did not say where entry {index} is, to which others refer; send all entries at once"
        raise PushFailed(message)
    return {"reference": known[target]}
