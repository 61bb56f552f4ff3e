import copy
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

Json = dict[str, Any]
Tds = Callable[..., tuple[int, str, str]]

TOKEN = "top-secret-token"  # noqa: S105  # opens nothing


def entry(kind: str, number: int) -> Json:
    request = {"method": "POST", "url": kind, "ifNoneExist": f"identifier=a|{number}"}
    return {"fullUrl": f"urn:uuid:{number}", "resource": {"resourceType": kind}, "request": request}


BUNDLE: Json = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [entry("Device", 1), entry("Observation", 2), entry("Observation", 3)],
}


class Server:
    """A server that makes each resource once, and does so for a token only if it is told one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.token: str | None = None
        self.bodies: list[Json] = []
        self.known: dict[str, str] = {}

    def answer(self, authorization: str | None, bundle: Json) -> tuple[int, Json]:
        if self.token is not None and authorization != f"Bearer {self.token}":
            issue = {"severity": "error", "code": "login", "diagnostics": f"no {authorization} for Jane Roe"}
            return 401, {"resourceType": "OperationOutcome", "issue": [issue]}
        self.bodies.append(bundle)
        return 200, {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": [{"response": self._file(one)} for one in bundle["entry"]],
        }

    def _file(self, one: Json) -> Json:
        key = one["request"]["ifNoneExist"]
        status = "200" if key in self.known else "201"
        location = self.known.setdefault(key, f"{one['request']['url']}/{len(self.known) + 1}")
        return {"status": status, "location": location}


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server asks for
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = state.answer(self.headers.get("Authorization"), sent)
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state = Server(f"http://127.0.0.1:{listening.server_address[1]}/fhir")
        Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield state
        listening.shutdown()


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TDS_FHIR_TOKEN", raising=False)


@pytest.fixture
def result(tmp_path: Path) -> Path:
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "fhir.json").write_text(json.dumps(BUNDLE), encoding="utf-8")
    return folder


def test_what_was_created_is_told(tds: Tds, server: Server, result: Path) -> None:
    code, out, err = tds("report", "push", result, "--to", server.address)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "created 3, already there 0, replaced 0",
        "Device/1",
        "Observation/2",
        "Observation/3",
    ]
    assert server.bodies == [BUNDLE]


def test_sending_twice_creates_nothing_new(tds: Tds, server: Server, result: Path) -> None:
    tds("report", "push", result, "--to", server.address)
    code, out, _ = tds("report", "push", result, "--to", server.address, "--json")
    assert code == 0
    assert json.loads(out) == {
        "dry_run": False,
        "created": 0,
        "existing": 3,
        "updated": 0,
        "locations": ["Device/1", "Observation/2", "Observation/3"],
    }


def test_a_dry_run_sends_nothing(tds: Tds, server: Server, result: Path) -> None:
    code, out, _ = tds("report", "push", result, "--to", server.address, "--dry-run")
    assert code == 0
    assert out.splitlines() == ["would send 3 resources; nothing was sent", "Device: 1", "Observation: 2"]
    code, out, _ = tds("report", "push", result, "--to", server.address, "--dry-run", "--json")
    assert json.loads(out) == {"dry_run": True, "resources": {"Device": 1, "Observation": 2}}
    assert server.bodies == []


def test_a_dry_run_checks_the_address(tds: Tds, result: Path) -> None:
    code, _, err = tds("report", "push", result, "--to", "http://fhir.example", "--dry-run")
    assert code == 1
    assert "unencrypted" in err
    code, _, _ = tds("report", "push", result, "--to", "http://fhir.example", "--dry-run", "--allow-http")
    assert code == 0


@pytest.mark.parametrize("wait", ["inf", "nan", "1e9", "0"])
def test_a_time_that_nobody_waits_is_refused(tds: Tds, server: Server, result: Path, wait: str) -> None:
    code, _, err = tds("report", "push", result, "--to", server.address, "--timeout", wait)
    assert code == 2
    assert "--timeout" in err
    assert server.bodies == []


def test_a_token_of_a_file_is_sent_before_that_of_the_environment(
    tds: Tds, server: Server, result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = TOKEN
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    monkeypatch.setenv("TDS_FHIR_TOKEN", "another")
    assert tds("report", "push", result, "--to", server.address, "--token-file", file)[0] == 0


def test_a_token_of_the_environment_is_sent(
    tds: Tds, server: Server, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = TOKEN
    monkeypatch.setenv("TDS_FHIR_TOKEN", TOKEN)
    assert tds("report", "push", result, "--to", server.address)[0] == 0


def test_a_refusal_tells_neither_token_nor_patient(
    tds: Tds, server: Server, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "another"  # noqa: S105  # opens nothing
    monkeypatch.setenv("TDS_FHIR_TOKEN", TOKEN)
    code, out, err = tds("report", "push", result, "--to", server.address, "--json", "--verbose")
    assert code == 1
    error = json.loads(out)["error"]
    assert error["type"] == "PushFailed"
    assert error["code"] == "push-failed"
    assert "wants a token, or another one" in error["message"]
    assert "secret" not in out + err
    assert "Roe" not in out + err


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"two words\n", b"line\nline", "schl\u00fcssel".encode(), b"\xff\xfe"]
)
def test_a_file_without_a_token_is_refused(
    tds: Tds, server: Server, result: Path, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    code, _, err = tds("report", "push", result, "--to", server.address, "--token-file", file)
    assert code == 2
    assert "the token's file holds no token" in err
    assert "words" not in err


def test_a_variable_without_a_token_is_refused(
    tds: Tds, server: Server, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TDS_FHIR_TOKEN", "two words")
    code, _, err = tds("report", "push", result, "--to", server.address)
    assert code == 2
    assert "TDS_FHIR_TOKEN holds no token" in err


def test_a_token_file_that_is_not_there_is_told(tds: Tds, server: Server, result: Path, tmp_path: Path) -> None:
    code, _, err = tds("report", "push", result, "--to", server.address, "--token-file", tmp_path / "absent")
    assert code == 2
    assert "the token's file cannot be read" in err


def test_a_server_of_small_transactions_gets_several(tds: Tds, server: Server, result: Path) -> None:
    assert tds("report", "push", result, "--to", server.address, "--max-entries", 2)[0] == 0
    assert [len(body["entry"]) for body in server.bodies] == [2, 1]


def test_a_resource_whose_place_is_not_told_is_not_shown(
    tds: Tds, server: Server, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_file", lambda _: {"status": "201"})
    code, out, _ = tds("report", "push", result, "--to", server.address)
    assert (code, out) == (0, "created 3, already there 0, replaced 0\n")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is damaged"),
        (b"\xff", "is damaged"),
        (b'{"a": NaN}', "is damaged"),
        (b"[" * 200_000, "is damaged"),
        (b"[]", "is no FHIR bundle"),
        (b"{}", "is no FHIR bundle of results"),
        (b'{"entry": [{"resource": 3}]}', "is no FHIR bundle of results"),
    ],
)
def test_a_bundle_that_is_none_is_not_sent(tds: Tds, server: Server, result: Path, content: bytes, told: str) -> None:
    (result / "fhir.json").write_bytes(content)
    code, _, err = tds("report", "push", result, "--to", server.address)
    assert code == 2
    assert told in err
    assert server.bodies == []


def test_a_bundle_that_is_no_transaction_is_not_sent(tds: Tds, server: Server, result: Path) -> None:
    (result / "fhir.json").write_text(json.dumps(copy.deepcopy(BUNDLE) | {"type": "collection"}), encoding="utf-8")
    code, _, err = tds("report", "push", result, "--to", server.address)
    assert code == 1
    assert "no transaction bundle" in err
    assert server.bodies == []


def test_a_folder_without_a_bundle_is_told(tds: Tds, server: Server, tmp_path: Path) -> None:
    code, _, err = tds("report", "push", tmp_path / "Roe", "--to", server.address)
    assert code == 2
    assert "holds no fhir.json" in err
    assert "Roe" not in err


def test_a_bundle_that_cannot_be_read_is_told(tds: Tds, server: Server, result: Path) -> None:
    (result / "fhir.json").unlink()
    (result / "fhir.json").mkdir()
    code, _, err = tds("report", "push", result, "--to", server.address)
    assert code == 2
    assert "fhir.json cannot be read" in err


def test_a_bundle_larger_than_any_is_not_read(
    tds: Tds, server: Server, result: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tds_cli.pushing._MOST_BYTES", 10)
    code, _, err = tds("report", "push", result, "--to", server.address)
    assert code == 2
    assert "larger than a bundle can be" in err


def test_help_says_that_it_is_for_research(tds: Tds) -> None:
    code, out, _ = tds("report", "--help")
    assert code == 0
    assert "Research use only" in out
