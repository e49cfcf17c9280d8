"""What commands have in common: a flow prepared as its options say, results out, messages aside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.commands.words import options_of
from pipelines.secret_store.redaction import hidden

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.prepared import PreparedFlow


def prepare(flow: str, **words: Any) -> PreparedFlow:
    """The flow, prepared as the options of a command say."""
    from pipelines.prepared import PreparedFlow

    return PreparedFlow(flow, options_of(**words))


def to_stdout(text: str) -> None:
    """Puts a result on stdout, without secrets."""
    sys.stdout.write(hidden(text).rstrip("\n") + "\n")


def to_stderr(text: str) -> None:
    """Puts a message on stderr, without secrets."""
    sys.stderr.write(hidden(text).rstrip("\n") + "\n")


def tell_findings(findings: Sequence[Finding]) -> None:
    """Puts warnings on stderr."""
    for finding in findings:
        to_stderr(f"warning: {finding.text()}")
