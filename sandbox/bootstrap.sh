#!/bin/sh
# Prints the path of a Python environment with everything this repository imports, making it if need be.
#
# Needs only Python 3.11 or newer with pip (or venv). The environment lies in the cache under a name made of the
# requirement files, so a second run costs a few milliseconds and a changed pin gets an environment of its own.
set -eu

NEEDED=2048 # MiB free on the cache's disk
UV=0.13.9 # resolves and installs in seconds what pip takes a minute for

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cache=${LLMOPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/llmops}
# Cached downloads and environments share one file system, so installing is a matter of hard links.
export UV_CACHE_DIR="${UV_CACHE_DIR:-$cache/uv}"

fail() {
    echo "bootstrap: $1" >&2
    exit 1
}

# Commands started by our own commands have such an environment first on PATH: its Python must not beget another one.
case $PATH in
*"$cache/venv/"*) PATH=$(printf %s "$PATH" | sed "s#$cache/venv/[^:]*/bin:##g") ;;
esac

python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.11 python3.12 python3.13; do
        if command -v "$candidate" >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
fi
[ -n "$python" ] || fail "no Python found: install it with 'apt-get install python3 python3-pip'."

cd "$root"
files=
for file in requirements.txt requirements-dev.txt sandbox/requirements.txt engine/requirements.txt frontend/requirements.txt; do
    [ -f "$file" ] && files="$files $file"
done
# shellcheck disable=SC2086  # a list of our own file names
key=$({ echo "$UV $(command -v "$python")"; cat $files sandbox/overrides.txt; } | sha256sum | cut -c1-12)
venv=$cache/venv/$key
if [ -e "$venv/.ready" ]; then
    echo "$venv"
    exit 0
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "$python is older than 3.11 or does not run: set PYTHON to a newer one."
mkdir -p "$cache/venv" || fail "cannot write to $cache: set LLMOPS_CACHE to a directory that can be written."

# The packages and their downloads take about 1.7 GB; a disk that fills up in the middle fails with anything but a clear word.
free=$(df -Pk "$cache" | awk 'NR == 2 {print int($4 / 1024)}')
[ "$free" -ge "$NEEDED" ] ||
    fail "the disk of the cache directory $cache has no space: $free MiB free, $NEEDED needed; make room there, or set LLMOPS_CACHE to a directory on a larger disk."

# Two commands started together make one environment; the lock goes with the process, whatever ends it.
exec 9>"$cache/venv/.lock"
if command -v flock >/dev/null 2>&1; then
    flock 9
fi
if [ -e "$venv/.ready" ]; then
    echo "$venv"
    exit 0
fi

echo "bootstrap: making the Python environment in $venv (about a minute the first time)" >&2
began=$(date +%s)
tools=$cache/venv/uv-$UV
if [ ! -x "$tools/bin/uv" ]; then
    rm -rf "$tools.part"
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
            --no-cache-dir --target "$tools.part" "uv==$UV" >&2 ||
            fail "pip could not install uv $UV: check that the package index answers ('make doctor')."
    elif "$python" -m venv "$tools.part" >/dev/null 2>&1; then
        "$tools.part/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir "uv==$UV" >&2 ||
            fail "pip could not install uv $UV: check that the package index answers ('make doctor')."
    else
        fail "$python has neither pip nor venv: install one with 'apt-get install python3-pip'."
    fi
    rm -rf "$tools"
    mv "$tools.part" "$tools"
fi

# uv does not read pip's configuration: hand over the index and the certificates this machine is set up with.
eval "$("$python" sandbox/toolchain/registry.py)"

# What an interrupted run left is made anew; the downloads in uv's cache are kept.
rm -rf "$venv"
"$tools/bin/uv" venv --quiet --no-project --no-python-downloads --python "$(command -v "$python")" "$venv" >&2 ||
    fail "uv could not make an environment with $python."
requirements=
for file in $files; do
    requirements="$requirements --requirement $file"
done
# shellcheck disable=SC2086
"$tools/bin/uv" pip install --quiet --python "$venv/bin/python" --override sandbox/overrides.txt $requirements >&2 ||
    fail "the packages could not be installed (uv's message above): check the index with 'make doctor' and run again."
: >"$venv/.ready"
echo "bootstrap: ready after $(($(date +%s) - began)) s" >&2
echo "$venv"
