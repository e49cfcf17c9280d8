#!/usr/bin/env bash
# Writes requirements.lock, requirements-dev.lock and that of the tools of scripts/supply_chain.sh: every package with its hashes,
# for Python 3.10 and newer on every platform, no index address. Give `--upgrade` to take newer versions; needs the network.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/setup.sh
source "$ROOT/scripts/setup.sh"
set_up_project dev

# Settings of this machine must not reach the files.
unset UV_INDEX UV_INDEX_URL UV_DEFAULT_INDEX UV_EXTRA_INDEX_URL UV_FIND_LINKS
lock() {
    "$VENV/bin/uv" pip compile --quiet --universal --python-version 3.10 \
        --fork-strategy fewest --generate-hashes --no-annotate --no-config \
        --custom-compile-command "scripts/lock.sh" "$@" >/dev/null
}

lock pyproject.toml --group build --extra dev --extra keyring --extra vault --output-file requirements-dev.lock "$@"
lock pyproject.toml --group build --constraints requirements-dev.lock --output-file requirements.lock
lock --group supply-chain --output-file requirements-supply-chain.lock "$@"
