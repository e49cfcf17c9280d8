"""By what a finding is known again after its lines have moved."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.errors import Finding

_PLACE = re.compile(r"\[\d+\]|\b(?:on )?line \d+\b")


def fingerprints(findings: Iterable[Finding]) -> list[str]:
    """For each finding a digest of what it is, and its number among the alike.

    It stays the same when lines or steps are put in above the finding.
    """
    made: list[str] = []
    seen: Counter[str] = Counter()
    for finding in findings:
        said = (finding.code, Path(finding.file).as_posix(), finding.path, finding.message)
        text = "\0".join((*(_PLACE.sub("", part) for part in said), finding.found))
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        seen[digest] += 1
        made.append(f"{digest}:{seen[digest]}")
    return made
