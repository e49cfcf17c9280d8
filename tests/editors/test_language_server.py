"""Completion, hover and diagnostics of flows, by the server behind VS Code's YAML extension.

Needs `yaml-language-server` from npm, on the path or named by YAML_LANGUAGE_SERVER; else skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVER = os.environ.get("YAML_LANGUAGE_SERVER") or shutil.which("yaml-language-server")
FLOW = """\
# yaml-language-server: $schema=file://{schema}
pipeline:
  name: toy
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: students
              timeout_seconds: "{{{{ vars.limit }}}}"
              when: "{{{{ run.mode == 'daily' }}}}"
              source: {{type: csv, path: in/students}}
              destination:
                path: lake/students
{rest}"""

pytestmark = pytest.mark.skipif(
    SERVER is None,
    reason="yaml-language-server is not installed: npm install -g yaml-language-server",
)


class LanguageServer:
    """A language server over its standard input and output."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(SERVER), "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._number = 0
        self._told: list[dict[str, Any]] = []
        self.ask("initialize", processId=None, rootUri=None, capabilities={})
        self.tell("initialized")
        settings = {"yaml": {"validate": True, "hover": True, "completion": True,
                             "schemaStore": {"enable": False}}}  # fmt: skip
        self.tell("workspace/didChangeConfiguration", settings=settings)

    def open(self, uri: str, text: str) -> None:
        """Shows it a document."""
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)

    def diagnostics(self, uri: str) -> list[str]:
        """What it says against a document, once it has said something."""
        while True:
            for told in self._told:
                if told.get("method", "").endswith("publishDiagnostics"):
                    params = told["params"]
                    if params["uri"] == uri:
                        return [one["message"] for one in params["diagnostics"]]
            self._told.append(self._read())

    def at(self, what: str, uri: str, line: int, character: int) -> Any:
        """What it has to say of a place."""
        position = {"line": line, "character": character}
        return self.ask(f"textDocument/{what}", textDocument={"uri": uri}, position=position)

    def ask(self, method: str, **params: Any) -> Any:
        """The answer to a request."""
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            said = self._read()
            if said.get("id") == self._number and "method" not in said:
                return said.get("result")
            self._told.append(said)

    def tell(self, method: str, **params: Any) -> None:
        """A notification."""
        self._send({"method": method, "params": params})

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        length = 0
        while (line := stream.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server has ended"
        said: dict[str, Any] = json.loads(stream.read(length))
        if "method" in said and "id" in said:  # it asks: it gets nothing, as from a plain editor
            asked = said["params"]
            many = [None] * len(asked["items"]) if "items" in (asked or {}) else None
            self._send({"id": said["id"], "result": many})
        return said


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    started = LanguageServer()
    yield started
    started.close()


def _open(server: LanguageServer, name: str, rest: str) -> tuple[str, list[str]]:
    text = FLOW.format(schema=ROOT / "pipelines/schema/flow.schema.json", rest=rest)
    uri = f"file:///{name}.yaml"
    server.open(uri, text)
    return uri, text.splitlines()


def _labels(found: Any) -> set[str]:
    items = found["items"] if isinstance(found, dict) else found
    return {item["label"] for item in items}


def test_destination_when_completed_then_its_keys_are_offered(server: LanguageServer) -> None:
    uri, lines = _open(server, "keys", "                ")
    found = _labels(server.at("completion", uri, len(lines) - 1, 16))
    assert {"mode", "keys", "partition_by", "schema"} <= found
    assert "path" not in found  # it is there


def test_mode_when_completed_then_the_modes_are_offered(server: LanguageServer) -> None:
    uri, lines = _open(server, "modes", "                mode: ")
    found = _labels(server.at("completion", uri, len(lines) - 1, 22))
    assert {"overwrite", "append", "merge", "insert_new", "replace_partitions"} <= found


def test_key_when_pointed_at_then_its_description_is_shown(server: LanguageServer) -> None:
    uri, lines = _open(server, "hover", "                mode: append\n")
    shown = server.at("hover", uri, len(lines) - 1, 18)
    assert "How the rows meet those that are there" in json.dumps(shown)


def test_key_when_it_is_not_known_then_is_flagged_and_templates_are_not(
    server: LanguageServer,
) -> None:
    uri, _ = _open(server, "unknown", "                mood: append\n")
    told = server.diagnostics(uri)
    assert any("mood" in one for one in told), told
    assert len(told) == 1


@pytest.mark.parametrize("name", ["main_flow", "script_flow"])
def test_flow_when_it_is_one_of_the_projects_then_nothing_is_flagged(
    name: str, server: LanguageServer
) -> None:
    file = ROOT / "pipelines" / "flows" / f"{name}.yaml"
    assert file.read_text().startswith("# yaml-language-server: $schema=")
    server.open(file.as_uri(), file.read_text())
    assert server.diagnostics(file.as_uri()) == []


def test_config_when_it_is_the_projects_then_nothing_is_flagged(server: LanguageServer) -> None:
    file = ROOT / "pipelines" / "pipelines_config.yaml"
    server.open(file.as_uri(), file.read_text())
    assert server.diagnostics(file.as_uri()) == []
