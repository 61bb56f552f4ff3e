import copy
import logging
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from tds_clinical import ClinicalDependency, PushFailed
from tds_clinical.fhir import PushOptions, _transport, push_bundle

requests = pytest.importorskip("requests")

Json = dict[str, Any]


class Script(Protocol):
    address: str
    headers: list[dict[str, str]]
    bodies: list[Json]


Scripted = Callable[..., Script]

TOKEN = "top-secret-token"  # noqa: S105  # opens nothing
FAST = PushOptions(backoff_s=0.01, retries=2, timeout_s=5)
NOT_TOLD = ("secret", "Roe", "4711", "jane")


def entry(number: int, *members: str, method: str = "POST") -> Json:
    resource = {"resourceType": "Observation", "hasMember": [{"reference": member} for member in members]}
    request = {"method": method, "url": "Observation", "ifNoneExist": f"identifier=a|{number}"}
    return {"fullUrl": f"urn:uuid:{number}", "resource": resource, "request": request}


def bundle_of(*entries: Json) -> Json:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def answer(*responses: Json, kind: str = "transaction-response") -> Json:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"response": response} for response in responses]}


def outcome(text: str) -> Json:
    issue = {"severity": "error", "code": "invalid", "diagnostics": text}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def filed(number: int, status: str = "201 Created") -> Json:
    return {"status": status, "location": f"Observation/{number}/_history/1"}


BUNDLE = bundle_of(entry(1), entry(2, "urn:uuid:1"))
OK = answer(filed(1), filed(2))


def test_what_was_made_what_was_there_and_what_was_replaced_is_counted(scripted: Scripted) -> None:
    server = scripted((200, answer(filed(1), filed(2, "200"), filed(3, "200 OK"), filed(4))))
    sent = bundle_of(entry(1), entry(2), entry(3, method="PUT"), entry(4, method="PUT"))
    result = push_bundle(sent, server.address, FAST)
    assert (result.created, result.existing, result.updated) == (2, 1, 1)
    assert result.locations == ("Observation/1", "Observation/2", "Observation/3", "Observation/4")
    assert server.bodies == [sent]
    assert server.headers[0]["Content-Type"] == "application/fhir+json"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            {"response": {"status": "200", "location": "https://fhir.example/r4/Observation/7/_history/3"}},
            "Observation/7",
        ),
        ({"response": {"status": "200", "location": "Observation/7"}}, "Observation/7"),
        ({"response": {"status": "200"}, "resource": {"resourceType": "Observation", "id": "7"}}, "Observation/7"),
        ({"response": {"status": "200"}, "resource": {"resourceType": "Observation"}}, ""),
        ({"response": {"status": "200", "location": "somewhere else"}}, ""),
        ({"response": {"status": "200", "location": 7}}, ""),
    ],
)
def test_where_a_resource_is_is_told_in_one_form(scripted: Scripted, told: Json, expected: str) -> None:
    server = scripted((200, {"resourceType": "Bundle", "type": "transaction-response", "entry": [told]}))
    assert push_bundle(bundle_of(entry(1)), server.address, FAST).locations == (expected,)


def test_a_token_is_sent_and_never_told(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    server = scripted((503, {}), (401, outcome(f"bad token {TOKEN} of jane Roe 4711")))
    with caplog.at_level(logging.DEBUG), pytest.raises(PushFailed, match="wants a token, or another") as caught:
        push_bundle(BUNDLE, server.address, replace(FAST, token=TOKEN))
    assert server.headers[0]["Authorization"] == f"Bearer {TOKEN}"
    assert caught.value.status == 401
    told = f"{caught.value!r} {caplog.text} {[vars(record) for record in caplog.records]}"
    assert not any(word in told for word in NOT_TOLD)


def test_without_a_token_none_is_sent_whatever_the_machine_keeps(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login jane password secret\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server = scripted((200, OK))
    push_bundle(BUNDLE, server.address, FAST)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("status", [429, 502, 503, 504, None])
def test_a_busy_server_is_asked_again_with_the_same_bundle(scripted: Scripted, status: int | None) -> None:
    server = scripted((status, {}), (status, {}), (200, OK))
    assert push_bundle(BUNDLE, server.address, FAST).created == 2
    assert server.bodies == [BUNDLE] * 3


@pytest.mark.parametrize(("status", "told"), [(429, "answered 429"), (None, "cannot be reached")])
def test_a_server_that_stays_busy_is_given_up(scripted: Scripted, status: int | None, told: str) -> None:
    server = scripted((status, {}))
    with pytest.raises(PushFailed, match=told) as caught:
        push_bundle(BUNDLE, server.address, FAST)
    assert caught.value.status == status
    assert len(server.bodies) == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 412, 413, 422, 500, 501, 799])
def test_a_refusal_is_final(scripted: Scripted, status: int) -> None:
    server = scripted((status, outcome("duplicate of Roe 4711")))
    with pytest.raises(PushFailed, match=rf"answered {status}: error invalid \(duplicate of \[\.\.\.\]\)") as caught:
        push_bundle(BUNDLE, server.address, FAST)
    assert caught.value.status == status
    assert len(server.bodies) == 1
    assert not any(word in str(caught.value) for word in NOT_TOLD)


def test_a_refusal_without_words_is_told_by_its_number(scripted: Scripted) -> None:
    server = scripted((500, b"<html>Roe</html>"))
    with pytest.raises(PushFailed, match=r"^the server answered 500$"):
        push_bundle(BUNDLE, server.address, FAST)


def test_nothing_is_sent_elsewhere_because_a_server_says_so(scripted: Scripted) -> None:
    elsewhere = scripted((200, OK))
    server = scripted((307, {}, {"Location": elsewhere.address}))
    with pytest.raises(PushFailed, match="wants to send us elsewhere"):
        push_bundle(BUNDLE, server.address, replace(FAST, token=TOKEN))
    assert elsewhere.bodies == []


def test_the_wait_that_a_server_asks_for_is_kept(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(_transport.time, "sleep", waits.append)
    soon = (datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    asked = ["7", soon, "Wed, 21 Oct 2015 07:28:00 GMT", "3600", "soon", "Wed, 21 Oct 2015 07:28:00 -0000"]
    server = scripted(*((503, {}, {"Retry-After": one}) for one in asked), (503, {}), (200, OK))
    push_bundle(BUNDLE, server.address, replace(FAST, backoff_s=1, retries=7))
    assert waits == [7, pytest.approx(30, abs=3), 0, 60, 16, 32, 60]


def test_nobody_there_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(PushFailed, match=r"cannot be reached \(Connect\w+\)") as caught:
            push_bundle(BUNDLE, address, FAST)
    assert caught.value.status is None


def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(PushFailed, match=r"cannot be reached \(ReadTimeout\)"):
            push_bundle(BUNDLE, address, replace(FAST, timeout_s=0.05, retries=0))


def test_an_answer_that_breaks_off_is_asked_for_again(scripted: Scripted) -> None:
    server = scripted((200, b'{"resourceType"', {"Content-Length": "900"}), (200, OK))
    assert push_bundle(BUNDLE, server.address, FAST).created == 2


def test_an_answer_without_end_is_not_kept(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "_MOST_BYTES", 10)
    server = scripted((200, OK))
    with pytest.raises(PushFailed, match="does not end"):
        push_bundle(BUNDLE, server.address, FAST)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"<html>", "not with a bundle"),
        ([], "not with a bundle"),
        (outcome("x"), "not with a bundle"),
        (answer(filed(1), filed(2), kind="searchset"), "does not tell what became of each entry"),
        (answer(filed(1)), "does not tell what became of each entry"),
        ({"resourceType": "Bundle", "type": "transaction-response"}, "does not tell what became of each entry"),
        ({"resourceType": "Bundle", "type": "batch-response", "entry": [1, 2]}, "refused entry 1 .* with 0"),
        (answer(filed(1), {"location": "Observation/2"}), "refused entry 2 .* with 0"),
    ],
)
def test_an_answer_that_tells_no_success_is_none(scripted: Scripted, document: object, told: str) -> None:
    with pytest.raises(PushFailed, match=told):
        push_bundle(BUNDLE, scripted((200, document)).address, FAST)


def test_an_entry_that_a_batch_refused_is_told(scripted: Scripted) -> None:
    refused = {"status": "412 Precondition Failed", "outcome": outcome("multiple matches for Roe")}
    server = scripted((200, answer(filed(1), refused, kind="batch-response")))
    with pytest.raises(
        PushFailed, match=r"entry 2 \(Observation\) with 412: error invalid \(multiple matches"
    ) as caught:
        push_bundle(BUNDLE, server.address, FAST)
    assert caught.value.status == 412
    assert not any(word in str(caught.value) for word in NOT_TOLD)


def test_parts_refer_to_what_earlier_parts_became(scripted: Scripted) -> None:
    server = scripted((200, answer(filed(1), filed(2))), (200, answer(filed(3))))
    sent = bundle_of(entry(1), entry(2, "urn:uuid:1"), entry(3, "urn:uuid:1", "urn:uuid:2", "Observation/9"))
    before = copy.deepcopy(sent)
    assert push_bundle(sent, server.address, replace(FAST, max_entries=2)).created == 3
    assert server.bodies[0]["entry"] == before["entry"][:2]
    members = server.bodies[1]["entry"][0]["resource"]["hasMember"]
    assert [one["reference"] for one in members] == ["Observation/1", "Observation/2", "Observation/9"]
    assert sent == before


def test_a_part_is_not_sent_if_it_would_refer_to_nothing(scripted: Scripted) -> None:
    server = scripted((200, answer({"status": "200"})))
    with pytest.raises(PushFailed, match="did not say where entry 1"):
        push_bundle(BUNDLE, server.address, replace(FAST, max_entries=1))
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"resourceType": "Bundle", "type": "collection", "entry": [entry(1)]},
        {"resourceType": "Bundle", "type": "transaction"},
        {"resourceType": "Bundle", "type": "transaction", "entry": []},
        {"resourceType": "Bundle", "type": "transaction", "entry": ["text"]},
        {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": {}, "request": {}}]},
        {"resourceType": "Bundle", "type": "transaction", "entry": [entry(1) | {"request": {}}]},
        {"resourceType": "Bundle", "type": "transaction", "entry": [entry(1) | {"resource": {}}]},
        {"resourceType": "Bundle", "type": "transaction", "entry": [entry(1) | {"resource": []}]},
    ],
)
def test_what_is_no_transaction_is_not_sent(scripted: Scripted, document: Json) -> None:
    server = scripted((200, OK))
    with pytest.raises(PushFailed, match="no transaction bundle"):
        push_bundle(document, server.address, FAST)
    assert server.bodies == []


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "\ud800"])
def test_what_json_cannot_hold_is_not_sent_and_not_told(scripted: Scripted, value: object) -> None:
    server = scripted((200, OK))
    one = entry(1)
    one["resource"]["note"] = [{"text": "4711", "value": value}]
    with pytest.raises(PushFailed, match="cannot be written as JSON") as caught:
        push_bundle(bundle_of(one, entry(2)), server.address, FAST)
    assert server.bodies == []
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("fhir.example/r4", "no web address"),
        ("ftp://fhir.example", "no web address"),
        ("https://", "no web address"),
        ("https://fhir.example:0/", "no web address"),
        ("https://fhir.example:high/", "no web address"),
        ("https://[::1/", "no web address"),
        ("https://jane:secret@fhir.example/r4", "holds credentials"),
        ("https://fhir.example/r4?token=secret", "holds credentials"),
        ("https://fhir.example/r4#secret", "holds credentials"),
        ("http://fhir.example/r4", "unencrypted"),
        ("http://127.0.0.1.fhir.example/r4", "unencrypted"),
        ("http://192.168.0.4/r4", "unencrypted"),
    ],
)
def test_an_address_that_is_not_fit_is_refused(address: str, told: str) -> None:
    with pytest.raises(PushFailed, match=told) as caught:
        push_bundle(BUNDLE, address, FAST)
    assert not any(word in str(caught.value) for word in NOT_TOLD)


@pytest.mark.parametrize(
    ("address", "allow_http"),
    [
        ("http://localhost:8080/r4/", False),
        ("http://[::1]:8080/r4", False),
        ("https://fhir.example/r4", False),
        ("http://fhir.example/r4", True),
    ],
)
def test_an_address_that_is_fit_is_taken(address: str, *, allow_http: bool) -> None:
    fit = _transport.check_address(address, PushOptions(allow_http=allow_http))
    assert fit == address.rstrip("/")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent: install it to test certificates")
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem", "-out", "cert.pem"]
    command = ["openssl", "req", *key, *names]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603  # our own words
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def test_a_certificate_that_nobody_vouches_for_is_refused(
    scripted: Scripted, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    server = scripted((200, OK), tls=certificate[1])
    with pytest.raises(PushFailed, match="certificate is not trusted"):
        push_bundle(BUNDLE, server.address, FAST)
    assert server.bodies == []


def test_a_certificate_is_checked_with_the_file_that_is_given(
    scripted: Scripted, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    server = scripted((200, OK), tls=certificate[1])
    assert push_bundle(BUNDLE, server.address, replace(FAST, ca_file=certificate[0])).created == 2


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_is_not_checked_if_that_is_asked_for(
    scripted: Scripted, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    server = scripted((200, OK), tls=certificate[1])
    assert push_bundle(BUNDLE, server.address, replace(FAST, verify=False)).created == 2


def test_a_server_that_does_not_speak_tls_is_told(scripted: Scripted) -> None:
    address = scripted((200, OK)).address.replace("http:", "https:")
    with pytest.raises(PushFailed, match="does not speak TLS"):
        push_bundle(BUNDLE, address, FAST)


def test_a_file_of_certificates_that_is_not_there_is_told(scripted: Scripted, tmp_path: Path) -> None:
    address = scripted((200, OK)).address.replace("http:", "https:")
    with pytest.raises(PushFailed, match=r"cannot be sent \(OSError\)") as caught:
        push_bundle(BUNDLE, address, replace(FAST, ca_file=tmp_path / "Roe" / "absent.pem"))
    assert "Roe" not in str(caught.value)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(ClinicalDependency, match=r"tds-clinical\[fhir\]"):
        push_bundle(BUNDLE, "http://127.0.0.1:9", FAST)
