# shellcheck shell=bash
# Makes the project ready to run: Python, Java, .venv with the locked packages, Spark's jars. To be sourced;
# then call `set_up_project` (or `set_up_project dev` for the test tools as well). Once all is there it costs
# a few milliseconds and needs no network. Several shells may call it at the same time.
#
# Read from the environment, all optional:
#   PIPELINE_PYTHON      the Python to make .venv with
#   PIPELINE_CACHE_DIR   where Spark's jars and files are kept, instead of .cache; relative to the project
#   JAVA_HOME            the Java to use

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"
VENV="$ROOT/.venv"

readonly SETUP_PYTHONS=(python3 python3.13 python3.12 python3.11 python3.10 python3.14 python)
readonly SETUP_UNFINISHED="$VENV/.setup-unfinished"
readonly SETUP_LOCK_FD=9

say() { printf '%s\n' "$*" >&2; }

# fail WHAT REMEDY
fail() {
    say "error: $1"
    [[ -z "${2:-}" ]] || say "    $2"
    exit 1
}

set_up_project() {
    local kind="${1:-run}" ready=true
    # Another Spark's or Python's home would be taken instead of the locked ones.
    unset SPARK_HOME PYTHONHOME
    _venv_is_ready "$kind" || ready=false
    [[ "$ready" == true ]] || _find_python
    _use_java
    [[ "$ready" == true ]] || _under_lock _make_venv "$kind"
    export PYSPARK_PYTHON="$VENV/bin/python" SPARK_LOCAL_IP="${SPARK_LOCAL_IP:-127.0.0.1}"
    # From the root, as `-m` looks for `pipelines` in the working directory first.
    (
        cd "$ROOT" || exit
        _jars_are_ready || "$VENV/bin/python" -m pipelines.execution.jars >&2 || exit
        _classes_are_kept || "$VENV/bin/python" -m pipelines.execution.class_archive >&2
    )
}

# --- .venv -------------------------------------------------------------------------------------------------

_lock_file() {
    if [[ "$1" == dev ]]; then echo "$ROOT/requirements-dev.lock"; else echo "$ROOT/requirements.lock"; fi
}

# What .venv is made from. It holds absolute paths, so a moved folder needs a new one.
_venv_key() {
    local digest
    digest="$(cat "$(_lock_file "$1")" "$ROOT/pyproject.toml" | "${SETUP_SHA256[@]}")"
    echo "${digest%% *} $ROOT"
}

_venv_is_ready() {
    [[ -f "$VENV/.setup-$1" && ! -e "$SETUP_UNFINISHED" && -x "$VENV/bin/python" && -x "$VENV/bin/pipeline" ]] &&
        [[ "$(<"$VENV/.setup-$1")" == "$(_venv_key "$1")" ]]
}

_make_venv() {
    local kind="$1" lock build
    if _venv_is_ready "$kind"; then return; fi # another shell has done it meanwhile
    _check_dot
    if [[ -e "$SETUP_UNFINISHED" ]] || ! "$VENV/bin/python" -c "$SETUP_PYTHON_CHECK; import pip" 2>/dev/null; then
        [[ ! -e "$VENV" ]] || say "$VENV is incomplete: making it anew"
        rm -rf "$VENV"
        mkdir "$VENV"
        touch "$SETUP_UNFINISHED"
        "$PYTHON" -m venv "$VENV"
    fi
    touch "$SETUP_UNFINISHED"
    rm -f "$VENV/.setup-run" "$VENV/.setup-dev"

    lock="$(_lock_file "$kind")"
    say "Installing the packages of ${lock##*/} into .venv (a few minutes the first time)"
    # PySpark comes as source. Its build, and this project's, use the locked setuptools: nothing unlocked is fetched.
    build="$VENV/.build.lock"
    awk '/^[^ ]/ { wanted = /^setuptools==/ } wanted' "$lock" >"$build"
    _pip --require-hashes --no-deps -r "$build"
    _pip --require-hashes --no-build-isolation --use-pep517 -r "$lock"
    # By a path, not by an import hook, which every start of Python would pay for.
    _pip --no-deps --no-build-isolation --config-settings editable_mode=compat -e "$ROOT"

    _venv_key run >"$VENV/.setup-run"
    [[ "$kind" != dev ]] || _venv_key dev >"$VENV/.setup-dev"
    rm -f "$SETUP_UNFINISHED"
}

_pip() {
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 "$VENV/bin/python" -m pip install --quiet --no-input \
        --disable-pip-version-check --root-user-action=ignore "$@" ||
        fail "pip could not install the packages, see above" \
            "Check the network (behind a proxy: https_proxy, PIP_INDEX_URL), then run this again."
}

# Runs a command while no other shell does, on this checkout. Python's flock, as not every system has flock(1).
_under_lock() {
    mkdir -p "$ROOT/.cache"
    exec 9>"$ROOT/.cache/setup.lock"
    "$PYTHON" - "$SETUP_LOCK_FD" <<'PYTHON'
import fcntl, sys
fd = int(sys.argv[1])
try:
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another set-up of this project is at work: waiting for it", file=sys.stderr)
    fcntl.flock(fd, fcntl.LOCK_EX)
PYTHON
    "$@"
    exec 9>&-
}

if command -v sha256sum >/dev/null; then SETUP_SHA256=(sha256sum); else SETUP_SHA256=(shasum -a 256); fi

# --- Python ------------------------------------------------------------------------------------------------

readonly SETUP_PYTHON_CHECK='import sys; sys.exit("too old") if sys.version_info < (3, 10) else None'

# Sets PYTHON to one that is new enough and can make a virtual environment.
_find_python() {
    local candidate bare="" seen=()
    for candidate in ${PIPELINE_PYTHON:+"$PIPELINE_PYTHON"} "${SETUP_PYTHONS[@]}"; do
        command -v "$candidate" >/dev/null || continue
        if ! "$candidate" -c "$SETUP_PYTHON_CHECK" 2>/dev/null; then
            seen+=("$candidate: $("$candidate" --version 2>&1 | head -n 1)")
        elif "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            PYTHON="$candidate"
            return
        else
            bare="${bare:-$candidate}"
        fi
    done
    if [[ -n "$bare" ]]; then
        local package
        package="$("$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        _apt_install "$package" || true
        PYTHON="$bare"
        "$bare" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$bare cannot make virtual environments" "Install its venv module: sudo apt-get install -y $package"
        return
    fi
    ((${#seen[@]} == 0)) || say "found $(printf '%s; ' "${seen[@]}" | sed 's/; $//')"
    fail "Python 3.10 or newer is needed and was not found" \
        "Install it (sudo apt-get install -y python3 python3-venv), or set PIPELINE_PYTHON to it."
}

# --- Java --------------------------------------------------------------------------------------------------

# Exports JAVA_HOME. What was found is kept, as asking Java for its version takes longer than all the rest.
_use_java() {
    local note="$ROOT/.cache/java_home" given="=${JAVA_HOME:-}" noted="" home=""
    if [[ -f "$note" ]]; then { read -r noted && read -r home; } <"$note" || true; fi
    if [[ "$noted" != "$given" || ! -x "$home/bin/java" ]]; then
        home="$(_find_java || true)"
        if [[ -z "$home" ]]; then
            _apt_install openjdk-17-jre-headless || _apt_install default-jre-headless || true
            home="$(_find_java)" ||
                fail "Java 17 or 21 is needed and was not found" \
                    "$(_install_hint openjdk-17-jre-headless openjdk@17), or set JAVA_HOME to it."
        fi
        mkdir -p "$ROOT/.cache"
        printf '%s\n%s\n' "$given" "$home" >"$note.$$" && mv -f "$note.$$" "$note"
    fi
    export JAVA_HOME="$home"
}

# Prints the home of a Java that Spark runs on: JAVA_HOME, then PATH, then where packages put it.
_find_java() {
    local java version
    for java in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java || true)" \
        /usr/lib/jvm/*/bin/java /Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java \
        /opt/homebrew/opt/openjdk@{17,21}/bin/java; do
        [[ -x "$java" ]] || continue
        version="$("$java" -XshowSettings:properties -version 2>&1)" || continue
        [[ "$version" =~ java\.specification\.version\ =\ ([0-9.]+) ]] || continue
        case "${BASH_REMATCH[1]}" in
            17 | 21)
                [[ "$version" =~ java\.home\ =\ ([^$'\n']+) ]] || continue
                echo "${BASH_REMATCH[1]}"
                return
                ;;
        esac
    done
    return 1
}

# --- other programs ----------------------------------------------------------------------------------------

_check_dot() {
    command -v dot >/dev/null || _apt_install graphviz ||
        say "warning: Graphviz's dot was not found: no PNG or PDF of the DAG. $(_install_hint graphviz graphviz)"
}

# _apt_install PACKAGE: only for root on Debian or Ubuntu
_apt_install() {
    [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null || return 1
    say "Installing $1 with apt-get"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends "$1"; } </dev/null >/dev/null
}

# _install_hint APT_PACKAGE BREW_FORMULA
_install_hint() {
    if command -v apt-get >/dev/null; then
        echo "Install it: sudo apt-get install -y $1"
    elif command -v brew >/dev/null; then
        echo "Install it: brew install $2"
    else
        echo "Install it with the system's package manager"
    fi
}

# --- jars --------------------------------------------------------------------------------------------------

# A glance; the engine itself looks closer at every start.
_jars_are_ready() {
    compgen -G "${PIPELINE_CACHE_DIR:-.cache}/jars/*/manifest.json" >/dev/null
}

# Another glance: kept since Spark was installed, or tried in vain. Whether they fit, Java looks.
_classes_are_kept() {
    local kept spark=("$VENV"/lib/python*/site-packages/pyspark/jars)
    for kept in "${PIPELINE_CACHE_DIR:-.cache}"/classes/*; do
        [[ ! -f "$kept" || ! "$kept" -nt "${spark[0]}" ]] || return 0
    done
    return 1
}
