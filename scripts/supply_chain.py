"""What the tools of `supply_chain.sh` leave to be done; it runs in their environment.

python supply_chain.py add-jars BOM FOLDERS  puts Spark's extra jars into a CycloneDX BOM
python supply_chain.py judge REPORT LOG      tells what `pip-audit` has found, and fails for it
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

_NOT_REACHED = re.compile(
    r"^(?:requests|urllib3)\.exceptions\.|\bConnectionError\b|Could not connect"
)
_JAR = re.compile(r"(?P<group>[^_]+)_(?P<name>.+?)-(?P<version>\d.*)\.jar")


def add_jars(bom_file: Path, *folders: Path) -> str:
    """Puts the jars of ``folders`` into the BOM; returns how many it tells of then."""
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    bom = Bom.from_json(json.loads(bom_file.read_text(encoding="utf-8")))
    jars = {jar.name: jar for folder in folders for jar in sorted(folder.glob("*.jar"))}
    for jar in jars.values():
        found = _JAR.fullmatch(jar.name)
        if found is None:
            raise ValueError(f"{jar.name} does not tell group, name and version")
        digest = hashlib.sha256(jar.read_bytes()).hexdigest()
        url = PackageURL("maven", found["group"], found["name"], found["version"])
        bom.components.add(
            Component(
                type=ComponentType.LIBRARY,
                group=found["group"],
                name=found["name"],
                version=found["version"],
                purl=url,
                bom_ref=str(url),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)],
            )
        )
    text = JsonV1Dot6(bom).output_as_string(indent=1)
    bom_file.write_text(text + "\n", encoding="utf-8")
    return f"{bom_file}: {len(bom.components)} components, {len(jars)} of them jars"


def judge(report: Path, log: Path) -> tuple[str, bool]:
    """What a report of `pip-audit` and its messages come to, and whether that is well."""
    text = report.read_text(encoding="utf-8")
    if not text:
        lines = log.read_text(encoding="utf-8").strip().splitlines() or ["pip-audit told nothing"]
        if _NOT_REACHED.search(lines[-1]):
            return f"skipped, as the database cannot be reached: {lines[-1]}", True
        return lines[-1], False
    packages = json.loads(text)["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return "skipped: the database that is reached from here knows none of the packages", True
    bad = [package for package in asked if package["vulns"]]
    lines = [
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in bad
        for vulnerability in package["vulns"]
    ]
    left = [package["name"] for package in packages if "skip_reason" in package]
    if left:
        lines.append(f"not known to the database: {', '.join(left)}")
    lines.append(f"{len(asked)} packages looked up, {len(bad)} with known vulnerabilities")
    return "\n".join(lines), not bad


def main() -> None:
    """Does what the words say."""
    what, *paths = sys.argv[1:]
    if what == "add-jars":
        text, is_well = add_jars(*map(Path, paths)), True
    else:
        text, is_well = judge(*map(Path, paths))
    sys.stdout.write(f"{text}\n")
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
