#!/usr/bin/env bash
# Stage 0: a Python environment with the pinned packages. Skipped when nothing has changed.
#
#   local/setup.sh [--cpu] [--eval] [--dev] [--dry-run]
#
# --cpu installs torch and torchaudio of the same versions without CUDA: 1.4 GB in place of 5. They
# come from PyTorch's own index of CPU builds, or from $TORCH_INDEX, and nothing is installed where
# that cannot be reached. An environment that was set up so stays so.
# --eval adds the networks that judge converted voices and the one of `f0_estimator: swift_f0`
# (130 MB), --dev those and what the tests need.
# Uses the virtual environment that is active, or else makes .venv beside run.sh, with $PYTHON or
# the first python3 on the path.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/local/parse_options.sh"

usage() { sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

# stop CAUSE: leave with one line.
stop() {
    echo "stage 0 setup failed: $1" >&2
    exit 2
}

dev=false
eval=false
cpu=false
dry_run=false
parse_options "dev eval cpu dry_run" "$@"
[ "$dev" = false ] || eval=true

environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$root/.venv}}
python=$environment/bin/python
# Recipes need the first two, stage 7 the third, microphones the fourth; all but the first are extras
# where vctool is installed without this script.
basic=("$root/requirements.txt" "$root/requirements-corpora.txt" "$root/requirements-export.txt"
    "$root/requirements-stream.txt")
requirements=("${basic[@]}")
[ "$dev" = false ] || requirements+=("$root/requirements-dev.txt" "$root/requirements-cluster.txt")

judges=$root/requirements-eval.txt

# pins FILE...: what stands for their content in a stamp.
pins() { cat "$@" "$root/constraints.txt" | cksum; }

# One stamp for each extent says what was installed; a larger extent leaves those of the smaller.
stamps=("$environment/.vctool-setup")
wanted=("$(pins "${basic[@]}")")
if [ "$eval" = true ]; then
    stamps+=("$environment/.vctool-setup-eval")
    wanted+=("$(pins "${basic[@]}" "$judges")")
fi
if [ "$dev" = true ]; then
    stamps+=("$environment/.vctool-setup-dev")
    wanted+=("$(pins "$judges" "${requirements[@]}")")
fi
torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}
marked=$environment/.vctool-cpu
asked_for_cpu=$cpu
[ ! -f "$marked" ] || cpu=true
installed_root=$(cat "$environment/.vctool-root" 2>/dev/null || true)

if [ -x "$python" ] && [ "$(cat "${stamps[-1]}" 2>/dev/null || true)" = "${wanted[-1]}" ] &&
    [ -f "$installed_root/run.sh" ] && { [ "$asked_for_cpu" = false ] || [ -f "$marked" ]; }; then
    [ "$dry_run" = false ] || echo "stage 0 setup: done: would be skipped"
    exit 0
fi
if [ "$dry_run" = true ]; then
    echo "stage 0 setup: not done, or its pins changed: would install into $environment"
    exit 0
fi

made=false
if [ ! -x "$python" ]; then
    base=${PYTHON:-python3}
    command -v "$base" >/dev/null || stop "$base: not found; install Python 3.11 or newer"
    "$base" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        stop "$base is $("$base" --version); Python 3.11 or newer is needed: set PYTHON=..."
    echo "stage 0 setup: making $environment with $("$base" --version)"
    "$base" -m venv "$environment" ||
        stop "$base -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"
    made=true
fi
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "$environment holds $("$python" --version); Python 3.11 or newer is needed"
"$python" -m pip --version >/dev/null 2>&1 || stop "$environment has no pip: $python -m ensurepip"

site=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
size=5
[ "$cpu" = false ] || size=1.4
if [ ! -d "$site/torch" ]; then
    free_gb=$(df -Pk "$environment" | awk 'NR == 2 { print int($4 / 1048576) }')
    needed=7
    [ "$cpu" = false ] || needed=3
    [ "$free_gb" -ge "$needed" ] ||
        stop "$environment has $free_gb GB of free disk, $needed are needed; free some"
fi

# Everything that is made on the way is removed, whatever happens.
passing=()
clear_away() { [ ${#passing[@]} -eq 0 ] || rm -rf "${passing[@]}"; }
trap clear_away EXIT

mapfile -t pair < <(sed -n 's/^\(torch\(audio\)\{0,1\}==[^ ]*\).*/\1/p' "$root/requirements.txt")
# Wheels without CUDA are fetched before anything is installed. They are installed first, so that
# the pins of torch are met when all else is resolved, and nothing asks for CUDA's libraries.
wheels=()
if [ "$cpu" = true ] && [ "$(cat "$marked" 2>/dev/null || true)" != "${pair[*]}" ]; then
    [ ! -d "$site/nvidia" ] ||
        stop "$environment holds CUDA's libraries already; use another environment for --cpu"
    fetched=$(mktemp -d)
    passing+=("$fetched")
    echo "stage 0 setup: fetching ${pair[*]} without CUDA from $torch_index"
    "$python" -m pip download --quiet --disable-pip-version-check --no-deps --retries 1 \
        --index-url "$torch_index" --dest "$fetched" "${pair[@]}" 2>/dev/null || {
        [ "$made" = false ] || rm -rf "$environment"
        stop "$torch_index cannot be reached, or has no ${pair[*]}; set TORCH_INDEX to one that has"
    }
    wheels=("$fetched"/*.whl)
fi

# pyworld is built from source; where that cannot be, the same version comes prebuilt.
header=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h
if [ ! -d "$site/pyworld" ] &&
    { ! command -v "${CXX:-c++}" >/dev/null || [ ! -f "$header" ]; }; then
    echo "stage 0 setup: no C++ compiler or no Python.h here: pyworld comes prebuilt"
    adapted=$(mktemp)
    passing+=("$adapted")
    prebuilt=$(sed -n 's/^\(pyworld-prebuilt==[^ ]*\).*/\1/p' "$root/requirements.txt")
    sed "s/^pyworld==[^ ]*/$prebuilt/" "$root/requirements.txt" >"$adapted"
    requirements[0]=$adapted
fi

rm -f "$environment"/.vctool-setup*
arguments=()
for file in "${requirements[@]}"; do arguments+=(-r "$file"); done
begin=$SECONDS
echo "stage 0 setup: installing into $environment ($size GB; a few minutes)"
if [ ${#wheels[@]} -gt 0 ]; then
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check --no-deps --no-index \
        --force-reinstall "${wheels[@]}" || stop "torch could not be installed (see above)"
    echo "${pair[*]}" >"$marked"
fi
# One call resolves everything together. Modules are compiled as they are first imported, which
# spares compiling thousands that never are.
"$python" -m pip install --quiet --no-compile --disable-pip-version-check \
    --constraint "$root/constraints.txt" "${arguments[@]}" ||
    stop "pip could not install the pins (see above); is there a network, or room on the disk?"
if [ "$eval" = true ]; then
    # They ask for packages that are of no use here: requirements-eval.txt lists what they need.
    "$python" -m pip install --quiet --no-compile --disable-pip-version-check --no-deps \
        --requirement "$judges" ||
        stop "pip could not install requirements-eval.txt (see above); is there a network?"
fi
# setuptools warns at length that an editable install is editable: shown only where it fails.
told=$("$python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --editable "$root" 2>&1) || {
    echo "$told" >&2
    stop "vctool itself could not be installed (see above)"
}

echo "$root" >"$environment/.vctool-root"
for place in "${!stamps[@]}"; do echo "${wanted[place]}" >"${stamps[place]}"; done
echo "stage 0 setup: done in $((SECONDS - begin)) s"
