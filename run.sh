#!/usr/bin/env bash
# One recipe, stage by stage; `./run.sh --help` is the manual. Data, features and experiments go to
# data/, dump/ and exp/ in the folder that this is started from, which may be any.
set -euo pipefail

root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd) # also through a link
. "$root/local/parse_options.sh"

names=(setup download features train infer synthesize evaluate export)
last=$((${#names[@]} - 1))
usual=6

usage() {
    cat <<END
Usage: $0 [--recipe NAME] [--stage N] [--stop-stage N] [options]

Stages, by number or name; finished work is skipped, half-done work continues:
  0 setup       make .venv (unless a virtual environment is active) and install the pins
  1 download    fetch or build the corpora and prepare their data dirs
  2 features    compute features and F0 statistics
  3 train       train, or continue from the last checkpoint
  4 infer       convert held-out utterances
  5 synthesize  turn converted features into sound
  6 evaluate    score beside the baselines, plot, write exp/<name>/RESULTS.md
  7 export      write a model that runs in real time for hosts without Python: only on demand

Options (dashes or underscores):
  --recipe NAME         a recipe in recipes/, or a YAML file (default: mini)
  --stage N             first stage (default: 0)
  --stop-stage N        last stage (default: $usual, or the first where that is later)
  --nj N                number of processes (default: the number of cores)
  --scheduler ADDRESS   of a Dask cluster that does the work of stages 1, 2, 4 and 5
  --downloads DIR       existing copies of the corpora; nothing is fetched. Stage 1 reads it, and
                        is run (or found done) before stage 2 even with --stage 2
  --device D            auto, cpu or cuda (default: auto)
  --set FIELD=VALUE     any field of the recipe, such as train.steps=2000; repeatable
  --fresh               start over from stage 3 on instead of continuing; with --stage 2 also the
                        features, which all recipes of a corpus share
  --dry-run             only say what would be done
  --help                this text
END
}

recipe=mini stage=0 stop_stage='' nj='' scheduler='' downloads='' device=auto fresh=false dry_run=false
set=()
parse_options "recipe stage stop_stage nj scheduler downloads device set fresh dry_run" "$@"

# number OPTION VALUE: print the number of a stage that is given by number or name.
number() {
    local i
    for i in "${!names[@]}"; do
        if [ "$2" = "$i" ] || [ "$2" = "${names[i]}" ]; then
            echo "$i"
            return
        fi
    done
    fail "$1 $2: no such stage; there are 0 to $last: ${names[*]}"
}

stop_given=$stop_stage
stage=$(number --stage "$stage")
if [ -n "$stop_given" ]; then
    stop_stage=$(number --stop-stage "$stop_given")
else
    stop_stage=$((stage > usual ? stage : usual))
fi
[ "$stage" -le "$stop_stage" ] || fail "--stage $stage comes after --stop-stage $stop_stage"
fresh_features=false
[ "$stage" -ne 2 ] || fresh_features=$fresh
[ -z "$downloads" ] || [ -d "$downloads" ] || fail "--downloads $downloads: no such folder"
[ -z "$downloads" ] || [ "$stage" -ne 2 ] || stage=1

# What every stage is told, and what to type to come back to one.
common=(--recipe "$recipe")
for setting in "${set[@]}"; do common+=(--set "$setting"); done
again=("$0" "${common[@]}")
[ -z "$nj" ] || again+=(--nj "$nj")
[ -z "$scheduler" ] || again+=(--scheduler "$scheduler")
[ -z "$downloads" ] || again+=(--downloads "$downloads")
[ "$device" = auto ] || again+=(--device "$device")
[ -z "$stop_given" ] || again+=(--stop-stage "$stop_given")

jobs=() there=() from=() flags=() features=()
[ -z "$nj" ] || jobs=(--nj "$nj")
[ -z "$scheduler" ] || there=(--scheduler "$scheduler")
[ -z "$downloads" ] || from=(--downloads "$downloads")
[ "$fresh" = false ] || flags=(--fresh)
[ "$fresh_features" = false ] || features=(--fresh)
[ "$dry_run" = false ] || common+=(--dry-run)

# An environment that is active is used; the code is always the one beside this file.
given_path=$PATH given_modules=${PYTHONPATH:+:$PYTHONPATH}
activate() {
    local environment=${VIRTUAL_ENV:-${CONDA_PREFIX:-$root/.venv}}
    export PATH=$environment/bin:$given_path PYTHONPATH=$root$given_modules
    export PYTHONSAFEPATH=1 # modules in the folder that this is started from are not ours
    [ -f "$environment/.vctool-setup" ]
}

setup() {
    local log=exp/setup.log
    if [ "$dry_run" = true ]; then
        "$root/local/setup.sh" --dry-run
        return
    fi
    mkdir -p exp
    "$root/local/setup.sh" 2>&1 | tee "$log" || {
        printf 'log: %s\nrerun: %s--stage 0\n' "$log" "$(printf '%q ' "${again[@]}")" >&2
        exit 2
    }
    activate
    if [ -s "$log" ]; then
        folder=$(python -m vctool show exp "${common[@]}")/log
        mkdir -p "$folder" && mv "$log" "$folder/setup.log"
    else
        rm -f "$log"
        echo "stage 0 setup: done already, nothing changed"
    fi
}

# run NUMBER OPTIONS...: run one stage if it is asked for.
run() {
    local number=$1 name=${names[$1]} status=0
    shift
    [ "$stage" -le "$number" ] && [ "$number" -le "$stop_stage" ] || return 0
    if [ "$ready" = false ]; then
        echo "stage $number $name: would run after stage 0"
        return
    fi
    VCTOOL_RERUN="$(printf '%q ' "${again[@]}")--stage $number" \
        python -m vctool "$name" "${common[@]}" "$@" || status=$?
    if [ "$status" -ne 0 ]; then
        [ "$number" -eq "$stop_stage" ] || echo "later stages were not run" >&2
        exit "$status"
    fi
}

ready=true
activate || ready=false
if [ "$stage" -eq 0 ]; then
    setup
elif [ "$ready" = false ]; then
    echo "no environment yet: stage 0 comes first"
    setup
fi
ready=true
activate || ready=false

run 1 "${jobs[@]}" "${there[@]}" "${from[@]}"
run 2 "${jobs[@]}" "${there[@]}" "${features[@]}"
run 3 --device "$device" "${flags[@]}"
run 4 --device "$device" "${jobs[@]}" "${there[@]}" "${flags[@]}"
run 5 "${jobs[@]}" "${there[@]}" "${flags[@]}"
run 6 "${jobs[@]}" "${flags[@]}"
run 7 "${flags[@]}"
