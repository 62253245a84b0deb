"""Every command and every example in README.md runs, in a copy of the project with a trained model.

Stages are only asked what they would do (`--dry-run`), because `tests/test_end_to_end.py` runs
them; a command that this file does not know fails, so that none goes untested. What would install
packages, or serve until it is stopped, is checked by the program whose command it is.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from tests.sounds import buzz, speak
from vctool.config import build, read_yaml
from vctool.engine import checkpoint
from vctool.experiment import recipe as recipes
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models.base import Context, family
from vctool.models.cyclegan_vc.system import System
from vctool.tools.add_speaker import MARK

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"

SECONDS = 1.5
"""Length of the recordings that commands are given: judges take their time for each second."""
SCORED = ("source", "target", "converted", "out", "content", "style")
"""Folders of `vctool evaluate`, all with recordings of the same names."""

STAGES = ("download", "features", "train", "infer", "synthesize", "evaluate", "export")


def blocks(*languages: str) -> list[str]:
    """Return README's fenced blocks of these languages."""
    # Every fenced block is matched, whatever its language: a closing fence looks like an opening.
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.M | re.S)
    assert {language for language, _ in found} <= {"sh", "python", "text"}
    return [text for language, text in found if language in languages]


def commands() -> list[str]:
    """Return the command lines of README's blocks, without comments."""
    lines = [line for block in blocks("sh") for line in block.replace("\\\n", " ").splitlines()]
    return list(dict.fromkeys(filter(None, (line.split("  #")[0].strip() for line in lines))))


@pytest.fixture(scope="module")
def project(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Put recordings where README's examples have them, beside the trained model."""
    folder = trained.folder
    (folder.parent / "shared" / "data").mkdir(parents=True)
    made = folder / "data" / "corpora" / "mini"
    spoken, sung = (
        sorted((made / "wav").glob(f"*-{what}-*.wav")) for what in ("speech", "singing")
    )
    backings = sorted((made / "accomp").glob("*.wav"))
    examples = {"in.wav": spoken[0], "sung.wav": sung[0], "inst.wav": backings[0]}
    examples["lead.wav"] = sung[0]
    for index, name in enumerate(("one", "two")):
        examples |= {f"talks/{name}.wav": spoken[index], f"speech/{name}.wav": spoken[index]}
        examples[f"anna/{name}.wav"] = spoken[2 + index]
        examples |= {f"songs/{name}.wav": sung[index], f"music/{name}.wav": backings[index]}
        examples |= {
            f"{place}/anna/{name}.wav": sung[index] for place in ("recordings", "resynthesised")
        }
        examples |= {f"{place}/{name}.wav": sung[index] for place in ("leads", "second", "takes")}
    for index, wav in enumerate(spoken):
        examples[f"recordings/{('anna', 'ben')[index % 2]}/{index}.wav"] = wav
    for index, wav in enumerate(spoken[:2]):
        examples |= {f"{name}/{index}.wav": wav for name in SCORED}
    for name, wav in examples.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        wave, rate = soundfile.read(wav)
        soundfile.write(folder / name, wave[: round(SECONDS * rate)], rate)
    save_speaker_model(folder / "exp" / "vcc2016_cyclegan_vc_SF1_TM3")
    save_vocoder(folder / "exp" / "vcc2016_istft")
    save_timbre_model(folder / "exp" / "nottingham_timbre_vqvae", "tiny_timbre_vqvae")
    save_timbre_model(folder / "exp" / "nottingham_timbre_glow", "tiny_timbre_glow")
    for name in ("riff", "sax", "tuba", "oboe"):
        hz = {"tuba": 110, "riff": 440}.get(name, 330)
        soundfile.write(folder / f"{name}.wav", buzz(SECONDS, hz, 8), 16000)
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


def save_timbre_model(folder: Path, recipe: str) -> None:
    """Save an untrained model of instruments."""
    torch.manual_seed(0)
    one = recipes.load(recipe)
    system = family(one.family)
    context = Context(features=one.features, vocoder=one.vocoder, roles=())
    made = system(build(system.Config, one.model, "tiny"), context)
    tree = one.model_dump(mode="json", by_alias=True)
    checkpoint.save(folder / "checkpoints", made, family=one.family, step=1, recipe=tree)


def save_vocoder(folder: Path) -> None:
    """Save an untrained vocoder of the mel of `save_voices_model`."""
    tree = read_yaml(ROOT / "conf" / "istft" / "tiny.yaml")
    features = build(FeatureConfig, read_yaml(ROOT / "conf/features/16k_mel128.yaml"), "features")
    context = Context(features=features, vocoder="wave", roles=("voices",))
    system = family("istft")
    made = system(build(system.Config, tree["model"], "tiny"), context)
    recipe = {"name": folder.name, "corpus": {"name": "vcc2016"}}
    checkpoint.save(folder / "checkpoints", made, family="istft", step=1, recipe=recipe)


def run(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def activate(project: Any, words: list[str]) -> None:
    """`. .venv/bin/activate`: an environment is made there unless another is active."""
    bare = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "CONDA_PREFIX")}
    said = run(["local/setup.sh", "--dry-run"], cwd=project.folder, env=bare)
    place = said.stdout.split("would install into ")[1].strip()
    assert [Path(place), "bin/activate"] == [project.folder / ".venv", words[1][len(".venv/") :]]


def run_sh(project: Any, words: list[str]) -> None:
    """`./run.sh`: every stage that is asked for says what it would do."""
    helped = "--help" in words
    said = run(
        words if helped else [*words, "--dry-run"],
        cwd=project.folder,
        env=project.variables | {"VIRTUAL_ENV": str(project.warm.environment)},
    )
    assert said.returncode == 0, said.stderr
    if not helped:
        lines = said.stdout.splitlines()
        assert lines and all(re.match(r"stage \d \w+: .*would ", line) for line in lines), said
        assert not any("after stage 0" in line for line in lines)


def page(words: list[str]) -> None:
    """`vctool app OPTIONS`: serves until it is stopped; `tests/app` starts it."""
    from typer.main import get_command

    from vctool.cli import app

    command = get_command(app).commands[words[1]]  # type: ignore[attr-defined]
    command.make_context(words[1], words[2:])


def ssh(project: Any, words: list[str]) -> None:
    """`ssh -L PORT:127.0.0.1:PORT HOST vctool app --port PORT`: one port all along."""
    assert words[1] == "-L" and words[4:6] == ["vctool", "app"]
    port = words[words.index("--port") + 1]
    assert words[2] == f"{port}:127.0.0.1:{port}"
    page(words[4:])


def vctool(project: Any, words: list[str]) -> None:
    if words[1] == "app":
        return page(words)
    more = ["--dry-run"] if words[1] in STAGES and len(words) > 2 and "-" in words[2] else []
    if words[1] in ("evaluate", "copy-synthesis"):
        more += ["--nj", "1"]  # further processes would import torch
    said = project.vctool(*words[1:], *more)
    assert said.returncode == 0, said.stderr
    return None


def torchrun(project: Any, words: list[str]) -> None:
    """`torchrun OPTIONS -m vctool ...`: its options are torchrun's, and the rest is a command."""
    from torch.distributed import run as torch_run

    asked = torch_run.get_args_parser().parse_args(words[1:])
    assert asked.module and asked.training_script == "vctool"
    vctool(project, ["vctool", *asked.training_script_args])


def tensorboard(project: Any, words: list[str]) -> None:
    """`tensorboard --logdir DIR`: it finds the curves there."""
    said = run(
        [sys.executable, "-m", "tensorboard.main", "--inspect", *words[1:]], cwd=project.folder
    )
    assert said.returncode == 0, said.stderr
    assert "exp/mini/tensorboard" in said.stdout and "train/total/generator" in said.stdout


def pip(project: Any, words: list[str]) -> None:
    """`pip install ...`: everything that is asked for is here, in that version."""
    asked = [*words[1:], "--dry-run", "--no-index", "--disable-pip-version-check", "--quiet"]
    if "." in words:  # vctool itself, which needs nothing to be built but what is here
        asked += ["--no-build-isolation", "--report", str(project.folder / "pip.json")]
    said = run([sys.executable, "-m", "pip", *asked], cwd=project.folder)
    assert said.returncode == 0, said.stdout + said.stderr
    if "." in words:
        told = json.loads((project.folder / "pip.json").read_text())["install"]
        assert [one["metadata"]["name"] for one in told] == ["vctool"]
    else:
        assert said.stdout == ""


def dask(project: Any, words: list[str]) -> None:
    """`dask scheduler` and `dask worker`: commands and options of the pinned release.

    Tests of clusters start both. Whoever reaches a scheduler runs code on its workers, so what is
    copied from here listens on this machine alone or asks for certificates.
    """
    address = words[words.index("--host") + 1] if words[1] == "scheduler" else words[2]
    assert re.match(r"127\.0\.0\.1$|tcp://127\.0\.0\.1:|tls://", address), address
    (program,) = entry_points(group="dask_cli", name=words[1])
    context = program.load().make_context(words[1], words[2:])
    assert context.params["preload_argv"] == (), "unknown options go there"


def pytest_of(project: Any, words: list[str]) -> None:
    """`python -m pytest DIR`: its modules can be imported and hold tests."""
    assert words[:3] == ["python", "-m", "pytest"]
    (folder,) = (ROOT / word for word in words[3:] if not word.startswith("-"))
    for path in sorted(folder.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert any(name.startswith("test_") for name in vars(module)), path


def script(project: Any, words: list[str]) -> None:
    """`.ci/run` and `./tests/run.sh` run these tests; here they only have to be executable."""
    assert len(words) == 1 and os.access(ROOT / words[0], os.X_OK)


RUNNERS: dict[str, Callable[[Any, list[str]], None]] = {
    ".": activate,
    "./run.sh": run_sh,
    "vctool": vctool,
    "ssh": ssh,
    "torchrun": torchrun,
    "tensorboard": tensorboard,
    "pip": pip,
    "dask": dask,
    "python": pytest_of,
    "./tests/run.sh": script,
    ".ci/run": script,
}


@pytest.mark.parametrize("command", commands())
def test_the_command_runs(project: Any, command: str) -> None:
    words = shlex.split(command)
    assert words[0] in RUNNERS, f"no test knows how to run {command!r}"
    RUNNERS[words[0]](project, words)


def example(call: str) -> str:
    """Return the one example in Python that has this call."""
    (found,) = (block for block in blocks("python") if call in block)
    return found


def test_the_example_of_converting_runs(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder)
    speech, speech_rate = soundfile.read("in.wav", dtype="float32")
    backing, backing_rate = soundfile.read("inst.wav", dtype="float32")
    names: dict[str, Any] = {"speech": speech, "speech_rate": speech_rate}
    names |= {"backing": backing, "backing_rate": backing_rate}
    exec(example('vctool.load("exp/mini")'), names)
    stretch = recipes.load("mini").convert.stretch
    seconds = len(names["wave"]) / names["rate"]
    assert seconds == pytest.approx(stretch * len(speech) / speech_rate, abs=0.01)
    assert np.abs(names["wave"]).max() > 0.01


def test_the_example_of_a_target_in_recordings_runs(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.folder)
    speech, speech_rate = soundfile.read("in.wav", dtype="float32")
    names: dict[str, Any] = {"speech": speech, "speech_rate": speech_rate}
    exec(example('vctool.load("knn_vc")'), names)
    assert len(names["wave"]) == pytest.approx(len(speech) * names["rate"] / speech_rate, abs=1)
    assert np.abs(names["wave"]).max() > 0.01


def test_the_example_of_doubling_runs() -> None:
    names: dict[str, Any] = {"rate": 16000, "block": speak(0, 200.0, 0.5)}
    exec(example("vctool.inference.Doubler"), names)
    assert names["late"].shape == (1, 8000) and np.abs(names["late"]).max() > 0.01


def test_the_example_of_scoring_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for judge in ("resemblyzer", "distillmos", "speechmos"):
        monkeypatch.setitem(sys.modules, judge, None)
    low, high = ([speak(seed, hz, 1.2) for seed in range(6)] for hz in (110.0, 170.0))
    names: dict[str, Any] = {
        **{"sources": low[:3], "targets": high[:3], "outputs": high[:3]},
        **{"source_training": low[3:], "target_training": high[3:]},
    }
    exec(example("anchored_board("), names)
    rows = capsys.readouterr().out
    assert "| model |" in rows and "| copy |" in rows
