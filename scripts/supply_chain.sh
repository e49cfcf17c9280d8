#!/usr/bin/env bash
# Tells what the project is made of, and what is known to be wrong with it:
#   scripts/supply_chain.sh sbom    writes build/sbom.json: CycloneDX, the packages of requirements.lock and Spark's extra jars
#   scripts/supply_chain.sh audit   fails for a known vulnerability of a locked package; skipped where the database is out of reach
#
# Their tools are no part of the project's environment: they have one of their own, of requirements-supply-chain.lock.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
cd "$ROOT"
CACHE="${PIPELINE_CACHE_DIR:-.cache}"
LOCK=requirements-supply-chain.lock
TOOLS="$CACHE/supply-chain"

set_up_tools() {
    if cmp --silent "$LOCK" "$TOOLS/made-from"; then return; fi
    rm -rf "$TOOLS"
    "${PIPELINE_PYTHON:-python3}" -m venv "$TOOLS"
    "$TOOLS/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$LOCK"
    cp "$LOCK" "$TOOLS/made-from"
}

sbom() {
    local jars=("$CACHE"/jars/*/manifest.json)
    if [[ ! -f "${jars[0]}" ]]; then
        printf "error: Spark's jars are not in %s/jars\n    run ./run_pipeline.sh once, which fetches them\n" "$CACHE" >&2
        exit 1
    fi
    set_up_tools
    mkdir -p build
    PYTHONWARNINGS=ignore "$TOOLS/bin/cyclonedx-py" requirements requirements.lock --pyproject pyproject.toml \
        --output-format JSON --output-file build/sbom.json
    PYTHONWARNINGS=ignore "$TOOLS/bin/python" scripts/supply_chain.py add-jars build/sbom.json "${jars[@]%/manifest.json}"
}

audit() {
    local report failed=false
    set_up_tools
    report="$(mktemp)"
    # It ends with 1 for a vulnerability, and for a database that does not answer: what it leaves tells which.
    "$TOOLS/bin/pip-audit" --require-hashes --disable-pip --progress-spinner off --requirement requirements-dev.lock \
        --format json --output "$report" 2>"$report.log" || true
    "$TOOLS/bin/python" scripts/supply_chain.py judge "$report" "$report.log" || failed=true
    rm -f "$report" "$report.log"
    [[ "$failed" == false ]]
}

case "${1:-}" in
    sbom | audit) "$1" ;;
    *) printf 'usage: %s sbom|audit\n' "$0" >&2 && exit 2 ;;
esac
