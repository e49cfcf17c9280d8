#!/usr/bin/env bash
# Checks the project: ./run_tests.sh [--all | --only-lint | --no-lint] [PYTEST ARGUMENTS]
#
# Without arguments: style, types, architecture, shell, YAML and SQL checks, then the tests, except those
# marked long, which --all runs too. With arguments for pytest only the tests run, and those that pytest is
# told to. Every check runs even if an earlier one fails; any failure makes it exit 1.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"

lint=true
tests=true
without_long=" and not long"
case "${1:-}" in
    --all) without_long="" && shift ;;
    --only-lint) tests=false && shift ;;
    --no-lint) lint=false && shift ;;
    "") ;;
    *) lint=false ;;
esac

set_up_project dev
export PATH="$VENV/bin:$PATH" SPARK_LOCAL_IP=127.0.0.1
cd "$ROOT"

failed=()
check() {
    local name="$1"
    shift
    printf '== %s\n' "$name"
    "$@" || failed+=("$name")
}

# The tests that share a Spark session keep one processor busy, and all else the second: the other checks, and
# tests that need no session or start processes of their own. So the former begin first, and are told of last.
begin_spark_tests() {
    spark_told="$(mktemp)"
    pytest -m "spark$without_long" >"$spark_told" 2>&1 &
    spark_tests=$!
    trap 'kill "$spark_tests" 2>/dev/null || true; rm -f "$spark_told"' EXIT
}

end_spark_tests() {
    local status=0
    wait "$spark_tests" || status=1
    cat "$spark_told"
    return "$status"
}

[[ "$tests" == false ]] || (($# > 0)) || begin_spark_tests
if [[ "$lint" == true ]]; then
    sql_folders=()
    for folder in sql dq; do [[ ! -d "$folder" ]] || sql_folders+=("$folder"); done
    check "ruff check" ruff check --quiet .
    check "ruff format" ruff format --check --quiet .
    check "mypy" mypy
    check "lint-imports" lint-imports
    check "shellcheck" shellcheck --external-sources ./*.sh scripts/*.sh .ci/run
    check "yamllint" yamllint --strict .
    ((${#sql_folders[@]} == 0)) || check "sqlfluff" sqlfluff lint --disable-progress-bar "${sql_folders[@]}"
fi
if [[ "$tests" == true ]] && (($# > 0)); then
    check "pytest" pytest "$@"
elif [[ "$tests" == true ]]; then
    check "pytest: not spark" pytest -m "not spark$without_long"
    check "pytest: spark" end_spark_tests
fi

if ((${#failed[@]} > 0)); then
    printf 'failed: %s\n' "$(printf '%s, ' "${failed[@]}" | sed 's/, $//')" >&2
    exit 1
fi
printf 'all checks passed\n'
