#!/usr/bin/env bash
# Makes vctool/demo/ anew, the models and recordings of `vctool convert --demo`, and recipes/demo.flac,
# which README.md plays of it.
#
#   local/build_demo.sh VCC2016 [WORK]
#
# VCC2016: folder of that corpus, which holds vcc2016_training/. WORK: where the recipe `mini` is
# trained (half an hour on one core), a new temporary folder if not given; stages that are done there
# are not run again.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -ge 1 ] && [ -d "$1/vcc2016_training/TF2" ] || {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}
corpus=$(cd "$1" && pwd)
work=${2:-$(mktemp -d)}
demo=$root/vctool/demo
mkdir -p "$work" "$demo"
cd "$work"
export PYTHONPATH=$root

for stage in download features train infer synthesize evaluate; do
    python -m vctool "$stage" --recipe mini
done
python -m vctool pack exp/mini --bits 16 --out "$demo/mini.vctool" --force

# A minute of what TF2 says in the half of the training sentences that targets keep. Frames of it
# are kept, in no form that can be played.
recordings=()
for number in $(seq 100082 100162); do
    recordings+=(--to "$corpus/vcc2016_training/TF2/$number.wav")
done
python -m vctool pack knn_vc "${recordings[@]}" --name TF2 --corpus vcc2016 --set seconds=60 \
    --out "$demo/TF2.vctool" --force

# A held-out sentence, and the accompaniment that it was made to be sung to.
python - "$demo" <<'PYTHON'
import sys
from pathlib import Path

import soundfile

made = Path("data/corpora/mini")
for source, name in (
    ("wav/baritone-test-speech-003.wav", "sentence"),
    ("accomp/baritone-test-singing-003.wav", "backing"),
):
    wave, rate = soundfile.read(made / source, dtype="int16")
    soundfile.write(Path(sys.argv[1]) / f"{name}.flac", wave, rate)
PYTHON

python -m vctool convert --demo --device cpu --format flac --out "$work/demo" --force
cp "$work/demo/sentence.singing.mix.flac" "$root/recipes/demo.flac"
ls -l "$demo" "$root/recipes/demo.flac"
