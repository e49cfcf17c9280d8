#!/usr/bin/env bash
# Runs a pipeline: ./run_pipeline.sh [FLOW] [OPTIONS]
#
# FLOW is a name in pipelines/flows/ or a path, by default main_flow; the options are those of
# `pipeline run`. The first time this makes .venv and fetches what it needs; later it works offline.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/scripts/setup.sh"

flow=main_flow
if (($# > 0)) && [[ "$1" != -* ]]; then
    flow="$1"
    shift
fi
# A name is one of this project's flows, whatever the working directory; a path is the caller's own.
flow_file="$flow"
[[ ! -f "$ROOT/pipelines/flows/$flow.yaml" ]] || flow_file="$ROOT/pipelines/flows/$flow.yaml"

config="$ROOT/pipelines/pipelines_config.yaml"
environment="${PIPELINE_ENV:-}"
starts_work=true
previous=""
for argument in "$@"; do
    case "$previous" in
        --env) environment="$argument" ;;
        --config) config="$argument" ;;
    esac
    case "$argument" in
        --env=*) environment="${argument#*=}" ;;
        --config=*) config="${argument#*=}" ;;
        --dry-run | --help) starts_work=false ;;
    esac
    previous="$argument"
done
if [[ -z "$environment" && -f "$config" ]]; then
    environment="$(sed -n 's/^default_environment:[[:space:]]*["'\'']\{0,1\}\([A-Za-z0-9_-]*\).*/\1/p' "$config")"
fi
environment="${environment:-local}"

printf 'pipeline: %s\nflow file: %s\nenvironment: %s\n' "$flow" "$flow_file" "$environment" >&2

set_up_project
if [[ "$environment" == local && "$starts_work" == true && ! -d "$ROOT/data/ods" ]]; then
    (cd "$ROOT" && "$VENV/bin/pipeline" ods create --if-missing) >&2
fi
exec "$VENV/bin/pipeline" run "$flow_file" "$@"
