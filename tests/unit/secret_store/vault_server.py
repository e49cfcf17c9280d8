"""A server on this machine that answers as Vault's HTTP API is documented to."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

TOKEN = "hvs.CAESIJ/root+token=="
ROLE_ID, SECRET_ID = "675a50e7-cfe0", "ed0a642f-2acf-secret-id"
ROLE, JWT = "etl", "eyJhbGciOi.pod.token"
HEALTH = {
    "initialized": True,
    "sealed": False,
    "standby": False,
    "performance_standby": False,
    "replication_performance_mode": "disabled",
    "replication_dr_mode": "disabled",
    "server_time_utc": 1732530000,
    "version": "1.18.3",
    "cluster_name": "vault-cluster-1",
}
WRONG_VERSION = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate "
    "API endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation."
)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    token: str | None
    namespace: str | None


@dataclass(frozen=True)
class Answer:
    """What is answered; ``{token}`` in the body is the token that was sent."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeVault:
    """What this Vault holds, and what it was asked.

    Attributes:
        address: where it is.
        secrets: entries of version 2 at `secret/`, by path.
        plain: entries of version 1 at `kv/`, by path.
        deleted: paths of version 2 whose last version was deleted.
        tokens: those that may read.
        lease_seconds: how long the tokens of a log-in are good.
        sealed: whether it is.
        instead: by path, what is answered whatever the rest says.
        asked: every request.
    """

    address: str = ""
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict)
    plain: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    tokens: set[str] = field(default_factory=lambda: {TOKEN})
    lease_seconds: int = 0
    sealed: bool = False
    instead: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def reads(self) -> list[str]:
        """The paths that entries were read at."""
        return [one.path for one in self.asked if one.path.startswith(("/v1/secret", "/v1/kv"))]

    def answer(self, asked: Asked, body: Mapping[str, Any]) -> Answer:
        self.asked.append(asked)
        if asked.path in self.instead:
            return self.instead[asked.path]
        if asked.path == "/v1/sys/health":
            return Answer(503 if self.sealed else 200, {**HEALTH, "sealed": self.sealed})
        if self.sealed:
            return _errors(503, "Vault is sealed")
        if asked.method in ("POST", "PUT"):
            return self._log_in(asked.path, body)
        return self._read(unquote(asked.path.removeprefix("/v1/")), asked.token)

    def _log_in(self, path: str, body: Mapping[str, Any]) -> Answer:
        if path == "/v1/auth/approle/login":
            if (body.get("role_id"), body.get("secret_id")) != (ROLE_ID, SECRET_ID):
                return _errors(400, "invalid role or secret ID")
        elif path != "/v1/auth/kubernetes/login" or body != {"role": ROLE, "jwt": JWT}:
            return _errors(403, "permission denied")
        return self._logged_in()

    def _logged_in(self) -> Answer:
        token = f"hvs.given-{len(self.asked)}/+="
        self.tokens.add(token)
        auth = {
            "client_token": token,
            "accessor": "0e9e354a-520f-df04-6867-ee81cae3d42d",
            "policies": ["default", "etl"],
            "lease_duration": self.lease_seconds,
            "renewable": True,
        }
        return Answer(200, {"request_id": "r", "data": None, "warnings": None, "auth": auth})

    def _read(self, path: str, token: str | None) -> Answer:
        if token not in self.tokens:
            return _errors(403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
        mount, _, rest = path.partition("/")
        if mount == "secret":
            return self._read_version_2(rest)
        if mount != "kv":
            return _errors(404, f'no handler for route "{path}". route entry not found.')
        found = self.plain.get(rest)
        return Answer(200, {"data": found}) if found else _errors(404)

    def _read_version_2(self, path: str) -> Answer:
        if not path.startswith("data/"):
            return Answer(404, {"data": None, "warnings": [WRONG_VERSION]})
        path = path.removeprefix("data/")
        meta = {"version": 1, "destroyed": False, "deletion_time": ""}
        if path in self.deleted:
            meta["deletion_time"] = "2026-11-25T10:00:00.000000Z"
            return Answer(404, {"data": {"data": None, "metadata": meta}})
        if path not in self.secrets:
            return _errors(404)
        return Answer(200, {"data": {"data": self.secrets[path], "metadata": meta}})


def _errors(status: int, *told: str) -> Answer:
    return Answer(status, {"errors": list(told)})


@contextmanager
def serving(vault: FakeVault, certificate: Path | None = None) -> Iterator[FakeVault]:
    """``vault`` behind a port of 127.0.0.1, with TLS where a certificate (and its key) is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size) or b"{}")
            told = self.headers.get("X-Vault-Token"), self.headers.get("X-Vault-Namespace")
            answer = vault.answer(Asked(self.command, self.path, *told), body)
            is_text = isinstance(answer.body, str)
            content = str(answer.body) if is_text else json.dumps(answer.body)
            content = content.replace("{token}", told[0] or "")
            self.send_response(answer.status)
            kind = "text/html" if is_text else "application/json"
            for name, value in {"Content-Type": kind, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_POST = do_PUT = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing is written to stderr."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up, as over a certificate, is no news."""

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if certificate is not None:
            scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        vault.address = f"{scheme}://127.0.0.1:{server.server_port}"
        try:
            yield vault
        finally:
            server.shutdown()
            thread.join(10)


def make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key in the same file."""
    key, certificate, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    both.write_text(key.read_text() + certificate.read_text())
    return both
