"""Every command in README.md runs, in a copy of the project with a trained model.

Stages are only asked what they would do (`--dry-run`), because `tests/test_end_to_end.py` runs
them; a command that this file does not know fails, so that none goes untested.
"""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vctool.config import build, read_yaml
from vctool.engine import checkpoint
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Context, family
from vctool.models.cyclegan_vc.system import System
from vctool.tools.add_speaker import MARK

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

HARMLESS = ("cd", "git", ".", "source", "tensorboard", "cat", "less", "export")
"""Commands that are the shell's or another project's."""

STAGES = ("download", "features", "train", "infer", "synthesize", "evaluate")


def commands() -> list[str]:
    """Return the command lines of README's fenced blocks, without prompts and comments."""
    # Every fenced block is matched, whatever its language: a closing fence looks like an opening.
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.M | re.S)
    shell = [text for language, text in blocks if language in ("", "sh", "bash", "console")]
    lines = [line for block in shell for line in block.replace("\\\n", " ").splitlines()]
    stripped = (line.removeprefix("$ ").split("  #")[0].strip() for line in lines)
    starts = ("./", "vctool", "python", "torchrun", ".ci/", *(f"{name} " for name in HARMLESS))
    return list(dict.fromkeys(line for line in stripped if line.startswith(starts)))


@pytest.fixture(scope="module")
def project(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Put recordings where README's examples have them, beside the trained model."""
    folder = trained.folder
    (folder.parent / "shared" / "data").mkdir(parents=True)
    wavs = sorted((folder / "data" / "corpora" / "mini" / "wav").glob("*.wav"))
    accompaniment = next((folder / "data" / "corpora" / "mini" / "accomp").glob("*.wav"))
    examples = dict.fromkeys(("talks/one.wav", "in.wav", "sung.wav"), wavs[0])
    for speaker in ("anna", "ben"):
        examples |= {f"recordings/{speaker}/{index}.wav": wav for index, wav in enumerate(wavs)}
    for index, wav in enumerate(wavs[:3]):
        examples |= {f"{name}/{index}.wav": wav for name in ("source", "target", "converted")}
    for name, wav in examples.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(wav, folder / name)
    shutil.copy(accompaniment, folder / "inst.wav")
    save_speaker_model(folder / "exp" / "vcc2016_cyclegan_vc_SF1_TM3")
    save_vocoder(folder / "exp" / "vcc2016_istft")
    save_voices_model(folder / "exp" / "vcc2016_vae_gan", ("SF1", "SM1", "TF2", "TM3"))
    save_voices_model(folder / "exp" / "vcc2016_vae_gan+anna", ("SF1", "SM1", "TF2", "TM3", "anna"))
    (folder / "recipes" / "vcc2016_vae_gan+anna.yaml").write_text(
        f"{MARK}\nbase: recipes/vcc2016_vae_gan.yaml\nname: vcc2016_vae_gan+anna\n"
        "corpus: {also: {anna: my_voices}}\nextends: vcc2016_vae_gan\n"
    )
    for name in ("librispeech_mir1k", "longer"):
        shutil.copytree(folder / "exp" / "mini", folder / "exp" / name)
    return trained


def save_speaker_model(folder: Path) -> None:
    """Save an untrained model between two speakers."""
    tree = read_yaml(ROOT / "conf" / "cyclegan_vc" / "tiny.yaml")
    config = build(System.Config, tree["model"], "tiny")
    features = build(FeatureConfig, read_yaml(ROOT / "conf/features/16k_mcep.yaml"), "features")
    voice = SpeakerStats(
        log_f0_mean=5.0, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=1000
    )
    voices = {"SF1": voice, "TM3": voice}
    context = Context(
        features=features, vocoder="world", roles=("SF1", "TM3"), speakers=voices, domains=voices
    )
    checkpoint.save(folder / "checkpoints", System(config, context), family="cyclegan_vc", step=1)


def save_voices_model(folder: Path, voices: tuple[str, ...]) -> None:
    """Save an untrained model of many voices."""
    system = family("vae_gan")
    tree = read_yaml(ROOT / "conf" / "vae_gan" / "tiny.yaml")
    features = build(FeatureConfig, read_yaml(ROOT / "conf/features/16k_mel128.yaml"), "features")
    voice = SpeakerStats(
        log_f0_mean=5.0, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=1000
    )
    domains = dict.fromkeys(voices, voice)
    context = Context(features=features, vocoder="griffin_lim", roles=voices, domains=domains)
    made = system(build(system.Config, tree["model"], "tiny"), context)
    checkpoint.save(folder / "checkpoints", made, family="vae_gan", step=1)


def save_vocoder(folder: Path) -> None:
    """Save an untrained vocoder of the mel of `save_voices_model`."""
    tree = read_yaml(ROOT / "conf" / "istft" / "tiny.yaml")
    features = build(FeatureConfig, read_yaml(ROOT / "conf/features/16k_mel128.yaml"), "features")
    context = Context(features=features, vocoder="wave", roles=("voices",))
    system = family("istft")
    made = system(build(system.Config, tree["model"], "tiny"), context)
    recipe = {"name": folder.name, "corpus": {"name": "vcc2016"}}
    checkpoint.save(folder / "checkpoints", made, family="istft", step=1, recipe=recipe)


@pytest.mark.parametrize("command", commands())
def test_the_command_runs(project: Any, command: str) -> None:
    words = shlex.split(command)
    folder = project.folder
    if words[0] in HARMLESS:
        return
    if words[0] == "./run.sh":
        said = subprocess.run(
            [*words, *([] if "--help" in words else ["--dry-run"])],
            cwd=folder,
            env=project.variables,
            capture_output=True,
            text=True,
            check=False,
        )
    elif words[0] in ("./tests/run.sh", ".ci/run"):
        said = subprocess.run(
            ["bash", "-n", words[0]], cwd=ROOT, capture_output=True, text=True, check=False
        )
    elif words[0] == "torchrun" or words[:3] == ["python", "-m", "vctool"]:
        said = project.vctool(*words[words.index("vctool") + 1 :], "--dry-run")
    elif words[:3] == ["python", "-m", "pytest"]:
        assert all((ROOT / word).exists() for word in words[3:] if not word.startswith("-"))
        return
    elif words[0] == "vctool":
        dry = ["--dry-run"] if words[1] in STAGES and len(words) > 2 and "-" in words[2] else []
        said = project.vctool(*words[1:], *dry)
    else:
        pytest.fail(f"no test knows how to run {command!r}")
    assert said.returncode == 0, said.stderr
