"""The recipes of vae_gan from recordings to sound, on made-up ones in their corpora's layouts."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vctool.experiment import directions
from vctool.experiment import recipe as recipes
from vctool.inference.converter import Converter
from vctool.inference.pairs import HeldOut
from vctool.stages import download, features, infer, synthesize, train

SMALL = {
    "tiny_vae_gan": ["corpus={name: choir, speakers: [alto, baritone, tenor]}"],
    "vcc2016_vae_gan": ["model.width=8", "model.discriminator_width=2", "corpus.name=choir"],
    "flickr8k_vae_gan": ["model.width=4", "model.discriminator_width=2"],
    "philharmonia_vae_gan": ["model.width=8", "model.discriminator_width=2"],
}
"""What makes each quick: its networks, and where its corpus is not made up in its own layout."""

PACE = [
    "train.steps=1",
    "train.validate_every=9",
    "train.batch_size=2",
    "evaluate.max_utterances=2",
]


def note(f0: float, seconds: float, rate: int, seed: int) -> np.ndarray:
    """A harmonic sound with some breath, which begins and ends in silence."""
    time = np.arange(int(seconds * rate)) / rate
    wave = sum(np.sin(2 * np.pi * k * f0 * time) / k for k in range(1, 8))
    gate = np.clip(8 * np.minimum(time, seconds - time) / seconds, 0, 1)
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return np.asarray(0.1 * wave * gate + 1e-3 * noise)


def put(path: Path, wave: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, format="MP3" if path.suffix == ".mp3" else None)


def flickr8k(root: Path) -> None:
    lines = []
    for index in range(8):
        for number, f0 in ((4, 200.0), (7, 110.0)):
            name = f"photo{index}_{number % 5}.wav"
            put(root / "flickr_audio/wavs" / name, note(f0, 1.0, 16000, index), 16000)
            lines.append(f"{name} {number}\n")
    (root / "flickr_audio" / "wav2spk.txt").write_text("".join(lines))


def philharmonia(root: Path) -> None:
    for number, instrument in enumerate(("cello", "flute", "saxophone", "trombone")):
        for index, pitch in enumerate(("C4", "D4", "E4", "F4", "G4", "A4", "B4", "C5")):
            f0 = 261.6 * 2 ** (index / 8)
            name = f"{instrument}_{pitch}_1_forte_{'arco-' * (number == 0)}normal.mp3"
            wave = note(f0, 0.6, 44100, index)
            put(root / "Philharmonia" / instrument / name, wave, 44100)


def choir(root: Path) -> None:
    """Write data dirs, of speakers of any name."""
    speakers = {"SF1": 200, "SM1": 110, "TF2": 210, "TM3": 120, "alto": 220, "baritone": 100}
    for split in ("train", "test"):
        folder = Path("data/choir") / split
        tables: dict[str, list[str]] = {"wav.scp": [], "utt2spk": [], "utt2dur": [], "spk2utt": []}
        for speaker, f0 in {**speakers, "tenor": 140}.items():
            names = [f"{speaker}-{split}{index}" for index in range(2)]
            for index, name in enumerate(names):
                put(folder / f"{name}.wav", note(f0, 0.6, 16000, index), 16000)
                tables["wav.scp"].append(f"{name} {name}.wav\n")
                tables["utt2spk"].append(f"{name} {speaker}\n")
                tables["utt2dur"].append(f"{name} 0.6\n")
            tables["spk2utt"].append(f"{speaker} {' '.join(names)}\n")
        for table, lines in tables.items():
            (folder / table).write_text("".join(sorted(lines)))
    download.write_stamp(Path("data/choir"), Path("data/choir"), "made up")


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_recipe_runs_from_recordings_to_sound(name: str, workdir: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made = {"flickr8k_vae_gan": flickr8k, "philharmonia_vae_gan": philharmonia}.get(name, choir)
    made(workdir / "copies")
    recipe = recipes.load(name, [*SMALL[name], *PACE])
    own = name in ("flickr8k_vae_gan", "philharmonia_vae_gan")
    download.run(recipe, downloads=workdir / "copies" if own else None)
    for dev in Path("data").glob("*/dev"):  # held-out samples take longer than all else
        shutil.rmtree(dev)
    features.run(recipe)
    train.run(recipe, device="cpu")
    infer.run(recipe)
    synthesize.run(recipe)
    roles = list(recipe.roles)
    for way in directions.of(recipe):
        sounds = sorted((recipe.exp / way.sounds).glob("*.wav"))
        said = HeldOut(recipe).of(way.source)
        assert len(sounds) == min(len(said), recipe.evaluate.max_utterances)
        for path in sounds:
            wave, rate = soundfile.read(path)
            assert rate == 16000 and np.isfinite(wave).all() and wave.std() > 1e-4
            assert len(wave) == len(said[path.stem].load(rate))  # nothing is trimmed
    assert Converter(recipe.exp, "cpu").roles == tuple(roles)
    torch.set_num_threads(threads)
