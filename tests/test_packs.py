"""A model in one file: what is not as it was written, or not for this version, is one line."""

import hashlib
import json
import os
import pickle
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load, save

import vctool
from tests.sounds import make_speech
from tests.warm import Warm
from vctool import packs
from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.engine import checkpoint
from vctool.errors import CheckpointError, ConfigError
from vctool.features.settings import FeatureConfig
from vctool.features.stats import SpeakerStats
from vctool.models import base
from vctool.tools import models, pack

VOICE = SpeakerStats(log_f0_mean=5.0, log_f0_std=0.2, f0_floor=60, f0_ceil=400, voiced_frames=1000)


def save_model(
    folder: Path, family: str, vocoder: str, conf: str, corpus: str | None = "mini"
) -> Path:
    """Save an untaught model of a family as the experiment `exp/NAME`."""
    system = base.family(family)
    tree = read_yaml(PROJECT_ROOT / "conf" / family / "tiny.yaml")
    features = build(FeatureConfig, read_yaml(PROJECT_ROOT / f"conf/features/{conf}.yaml"), "f")
    roles = ("ann", "ben")
    context = base.Context(
        features=features, vocoder=vocoder, roles=roles, domains=dict.fromkeys(roles, VOICE)
    )
    torch.manual_seed(0)
    made = system(build(system.Config, tree.get("model", {}), "tiny"), context)
    told = {"name": folder.name, "corpus": {"name": corpus} if corpus else {}}
    checkpoint.save(folder / "checkpoints", made, family=family, step=3, recipe=told)
    return folder


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a pack."""
    folder = tmp_path_factory.mktemp("packs")
    save_model(folder / "exp" / "pair", "cyclegan_vc", "world", "16k_mcep")
    pack.run(folder / "exp" / "pair", folder / "pair.vctool")
    return (folder / "pair.vctool").read_bytes()


def refused(path: Path) -> str:
    """Load a pack, and return the one line that it is refused with."""
    with pytest.raises(CheckpointError) as caught:
        vctool.load(path)
    told = str(caught.value)
    assert "\n" not in told and told.startswith(str(path)), told
    return told


def test_any_flipped_byte_is_noticed(sent: bytes, tmp_path: Path) -> None:
    path = tmp_path / "flipped.vctool"
    length = 8 + struct.unpack("<Q", sent[:8])[0]
    places = [*range(0, 8), *range(8, length, 331), *range(length, len(sent), len(sent) // 40)]
    for place in [*places, length - 1, len(sent) - 1]:
        for bit in (0x01, 0x20):
            changed = bytearray(sent)
            changed[place] ^= bit
            path.write_bytes(changed)
            refused(path)


def test_a_flipped_byte_ends_a_command_with_one_line(
    sent: bytes, tmp_path: Path, warm: Warm
) -> None:
    changed = bytearray(sent)
    changed[-100] ^= 4
    (tmp_path / "flipped.vctool").write_bytes(changed)
    soundfile.write(tmp_path / "in.wav", make_speech(0.5), 16000)
    words = ("convert", "in.wav", "--model", "flipped.vctool", "--to", "ben")
    done = warm.run(words, tmp_path, os.environ | {"PYTHONPATH": str(PROJECT_ROOT)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("vctool: flipped.vctool: damaged")
    assert not list(tmp_path.glob("*.ben.wav"))


@pytest.mark.parametrize("share", [0.0, 1e-5, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_noticed(sent: bytes, tmp_path: Path, share: float) -> None:
    path = tmp_path / "half.vctool"
    path.write_bytes(sent[: int(share * len(sent))])
    assert re.search("truncated|is no pack", refused(path))


def remade(content: bytes, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> bytes:
    """Change header fields and tensors, and hash anew, as somebody who means it would."""
    length = struct.unpack("<Q", content[:8])[0]
    told = json.loads(content[8 : 8 + length])["__metadata__"]
    tensors = load(content)
    change(told, tensors)
    told["digest"] = "0" * 64
    made = save(tensors, told)
    digest = hashlib.sha256(made).hexdigest()
    return made.replace(b'"digest":"' + b"0" * 64, f'"digest":"{digest}'.encode(), 1)


def state(told: dict[str, Any], **changes: Any) -> None:
    told["state"] = json.dumps(json.loads(told["state"]) | changes)


def newer(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    told["format"] = "2"


def later_checkpoint(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    state(told, format=99)


def unknown_family(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    state(told, family="of_tomorrow")


def other_settings(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    state(told, config=json.loads(told["state"])["config"] | {"depth": 3})


def wrong_shape(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    name = next(name for name, one in tensors.items() if one.dim() > 1)
    tensors[name] = tensors[name][:-1].clone()


def lacking(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    del tensors[next(name for name, one in tensors.items() if one.dim() > 1)]


def not_a_number(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    next(one for one in tensors.values() if one.dim() > 1).view(-1)[3] = float("nan")


def no_card(told: dict[str, Any], tensors: dict[str, Any]) -> None:
    told["card"] = "[]"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (newer, "format 2, this version reads 1; update vctool"),
        (later_checkpoint, "format 99"),
        (unknown_family, "no family 'of_tomorrow'"),
        (other_settings, "no field 'depth'"),
        (wrong_shape, "instead of"),
        (lacking, "missing; update vctool"),
        (not_a_number, "holds NaN or infinity in"),
        (no_card, "holds no mapping"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_not_for_this_version_says_so(
    sent: bytes, tmp_path: Path, change: Any, told: str
) -> None:
    path = tmp_path / "sent.vctool"
    path.write_bytes(remade(sent, lambda *_: None))
    vctool.load(path)  # as it was, it loads
    path.write_bytes(remade(sent, change))
    assert told in refused(path)


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    path = tmp_path / "sent.vctool"
    path.write_bytes(pickle.dumps(Harm()))
    assert "is no pack" in refused(path)
    assert not (tmp_path / "harm").exists()


def test_the_vocoder_with_its_weights_travels_too(workdir: Path) -> None:
    save_model(workdir / "exp" / "voc", "istft", "wave", "16k_mel128", "vcc2016")
    save_model(workdir / "exp" / "voices", "vae_gan", "exp/voc", "16k_mel128")
    pack.run(Path("exp/voices"), Path("voices.vctool"))
    speech = make_speech(0.6)
    ours, _ = vctool.load("exp/voices").convert(speech, 16000, to="ann")
    content = Path("voices.vctool").read_bytes()
    assert str(workdir).encode() not in content and b"exp/voc" not in content
    (workdir / "away").mkdir()
    (workdir / "away" / "v.vctool").write_bytes(content)
    (workdir / "exp").rename(workdir / "gone")
    theirs, _ = vctool.load("away/v.vctool").convert(speech, 16000, to="ann")
    assert np.array_equal(ours, theirs) and np.abs(ours).max() > 1e-3
    card = packs.read_header(Path("voices.vctool")).card
    assert "CC BY 4.0" in card["licence"] and "CC0" in card["licence"]  # the vocoder's terms too


def test_terms_that_forbid_it_keep_a_model_here(workdir: Path) -> None:
    save_model(workdir / "exp" / "own", "cyclegan_vc", "world", "16k_mcep", "ravdess")
    with pytest.raises(ConfigError, match="ravdess, whose terms are"):
        pack.run(Path("exp/own"), Path("own.vctool"))
    assert not Path("own.vctool").exists()
    save_model(workdir / "exp" / "nobody", "cyclegan_vc", "world", "16k_mcep", None)
    with pytest.raises(ConfigError, match="does not say what it was trained on"):
        pack.run(Path("exp/nobody"), Path("nobody.vctool"))


def test_the_card_and_the_list_say_what_stage_six_found(workdir: Path) -> None:
    folder = save_model(workdir / "exp" / "pair", "cyclegan_vc", "world", "16k_mcep")
    row = {"value": 3.0, "low": 2.0, "high": 4.0, "gap": 0.5, "gap_low": 0.4, "gap_high": 0.6}
    found = {"measures": {"mcd": {"model": row, "copy": row | {"value": 8.0}}}, "systems": {}}
    (folder / "results.json").write_text(json.dumps(found))
    pack.run(Path("pair"), Path("exp/sent.vctool"))
    one = models.named("sent")
    assert one.score is not None and (one.score.value, one.score.copy) == (3.0, 8.0)
    assert "score: mcd: model 3 (2..4); copy 8 (2..4)" in models.details(one)
    assert one.loads and one.id == "exp/sent.vctool"
    assert {listed.id for listed in models.inventory()} >= {"pair", "sent"}
    with pytest.raises(ConfigError, match="exists already"):
        pack.run(Path("pair"), Path("exp/sent.vctool"))


def test_a_voice_is_packed_of_recordings_and_found_by_its_name(workdir: Path) -> None:
    Path("anna").mkdir()
    for index in range(2):
        soundfile.write(f"anna/{index}.wav", make_speech(1.0, seed=index), 16000)
    Path("exp").mkdir()
    told = pack.voice("knn_vc", ["anna/"], "anna", Path("exp/anna.vctool"), rate=16000)
    assert "exp/anna.vctool" in told[0]
    assert Path("exp/anna.vctool").stat().st_size < 200_000  # no room for more than there is
    speech = make_speech(0.7, seed=5)
    ours, _ = vctool.load("knn_vc").convert(speech, 16000, to="anna/")
    theirs, _ = vctool.load("exp/anna.vctool").convert(speech, 16000, to="anna")
    assert np.array_equal(ours, theirs)
    one = models.named("exp/anna.vctool")
    assert (one.source, one.target) == (("anyone",), ("anna", "recordings"))
    assert "the people recorded must agree" in one.licence
    with pytest.raises(ConfigError, match="no such corpus"):
        pack.voice("knn_vc", ["anna/"], "anna", Path("a.vctool"), corpus="vcc2061")
    with pytest.raises(ConfigError, match="families that need no training"):
        pack.voice("vae_gan", ["anna/"], "anna", Path("a.vctool"))
