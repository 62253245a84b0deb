# shellcheck shell=bash
# Kaldi-style options, to be sourced: every variable that is set before the call is an option,
# `--stop-stage 3`, `--stop_stage 3` and `--stop-stage=3` all set `stop_stage`. A variable whose
# value is `false` is a flag; an array collects the values of a repeatable option.

# fail MESSAGE: say what was wrong with the command line, and leave.
fail() {
    echo "$0: $1 (see $0 --help)" >&2
    exit 2
}

# parse_options NAMES ARGUMENTS...: NAMES is the space-separated list of known options.
parse_options() {
    local known=" $1 " option name value
    shift
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case $option in
            --help | -h) usage && exit 0 ;;
            --?*) ;;
            *) fail "unexpected argument '$option'" ;;
        esac
        name=${option%%=*}
        name=${name#--}
        name=${name//-/_}
        [[ $known == *" $name "* ]] || fail "unknown option '${option%%=*}'"
        local -n target=$name
        if [ "${target-}" = false ] || [ "${target-}" = true ]; then
            [[ $option != *=* ]] || fail "${option%%=*} takes no value"
            target=true
            continue
        fi
        if [[ $option == *=* ]]; then
            value=${option#*=}
        else
            [ $# -gt 0 ] || fail "$option needs a value"
            value=$1
            shift
        fi
        if [[ $(declare -p "$name") == "declare -a"* ]]; then
            target+=("$value")
        else
            # shellcheck disable=SC2034,SC2178 # a reference to the caller's variable
            target=$value
        fi
    done
}
