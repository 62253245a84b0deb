#!/usr/bin/env bash
# Set up an environment with what the tests need, and run them: ./tests/run.sh [PYTEST OPTIONS]
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
local/setup.sh --dev
export PATH=${VIRTUAL_ENV:-${CONDA_PREFIX:-$PWD/.venv}}/bin:$PATH
# A worker a core, each with the tests of whole files, so that what a file shares is made once.
exec python -m pytest -n "$(nproc)" --dist loadfile "$@"
