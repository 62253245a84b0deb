"""What `ravdess_speaker_autoencoder` reaches on the singers that it was not trained on.

Run where the recipe was trained; another experiment is named in `SPEAKER_AUTOENCODER`. Own voices
are compared with Griffin-Lim, and with the vocoder of `ravdess_istft` where that was trained there:

    python -m pytest tests/bench/test_speaker_autoencoder_singers.py -s

A singer's voice is known from the recordings of one sentence, and conversions are of the other. The
filter to beat has one gain curve for each pair of singers: the difference of their mean log spectra
in 64 mel bands, which it is told of both. The model is told of the target alone.
"""

import hashlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from vctool import vocoders
from vctool.data.datadir import DataDir
from vctool.features.mel import log_mel, mel_frequencies
from vctool.features.settings import FeatureConfig
from vctool.inference.converter import Converter
from vctool.metrics import content, voice_ratio
from vctool.metrics.base import Group, Row
from vctool.metrics.distillmos import NaturalnessPredictor
from vctool.metrics.resynthesis import aligned, log_spectral_distance
from vctool.metrics.speaker import SpeakerEncoder, centroid
from vctool.metrics.voice_analysis import analyse_all
from vctool.models.speaker_autoencoder.envelope import Envelope
from vctool.models.speaker_autoencoder.spectra import Spectra, overlapped
from vctool.nn.fourier import framed
from vctool.vocoders.griffin_lim import Vocoder as GriffinLim

MODEL = Path(os.environ.get("SPEAKER_AUTOENCODER", "exp/ravdess_speaker_autoencoder"))
EACH = int(os.environ.get("EACH", "3"))
"""Recordings converted in each direction."""
ISTFT = Path("exp/ravdess_istft")
GRIFFIN_LIM = FeatureConfig(rate=44100, hop_length=512, n_fft=2048, n_mels=128)
"""conf/features/44k.yaml: a mel of twice as many bands as the model sees."""


def recordings(split: str, rate: int) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    for one in DataDir.read(Path("data/ravdess") / split):
        found.setdefault(one.speaker, []).append(one.load(rate))
    return found


class Filter:
    """One gain curve for each pair of voices."""

    def __init__(self, features: FeatureConfig) -> None:
        self.hop = features.hop_length
        self.spectra, self.envelope = Spectra(self.hop), Envelope(features, 24)
        self.centres = mel_frequencies(features)[1:-1]
        self.bins = np.linspace(0, features.rate / 2, self.hop + 1)

    def spectra_of(self, wave: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        padded = np.pad(wave, (self.hop, 2 * self.hop - len(wave) % self.hop))
        hops = torch.from_numpy(padded.astype(np.float32)).view(1, -1, self.hop)
        return self.spectra.analyse(framed(hops, 2))

    def mean(self, waves: list[np.ndarray]) -> np.ndarray:
        kept = []
        for wave in waves:
            bands = self.envelope.bands(*self.spectra_of(wave))[0]
            level = bands.mean(dim=1)
            kept.append(bands[level > level.max() - 4.6])  # 40 dB
        return torch.cat(kept).mean(dim=0).numpy()

    def apply(self, wave: np.ndarray, change: np.ndarray) -> np.ndarray:
        gain = torch.from_numpy(np.exp(np.interp(self.bins, self.centres, change))).float()
        real, imaginary = self.spectra_of(wave)
        frames = self.spectra.synthesise(real * gain, imaginary * gain)
        made, _ = overlapped(frames, torch.zeros(1, self.hop))
        return made[0, self.hop :][: len(wave)].numpy()


def interval(one: np.ndarray, other: np.ndarray) -> str:
    """Give the ratio of two means, with a 95 % bootstrap interval over recordings."""
    draws = np.random.default_rng(0).integers(len(one), size=(2000, len(one)))
    ratios = one[draws].mean(axis=1) / other[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return f"{one.mean() / other.mean():.3f} ({low:.3f}..{high:.3f})"


@pytest.mark.skipif(not MODEL.is_dir(), reason=f"{MODEL}: not trained here")
def test_held_out_singers(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    converter = Converter(MODEL, "cpu")
    rate, features = converter.rate, converter.features
    known, scored = recordings("train", rate), recordings("test", rate)
    singers = sorted(set(scored) - set(converter.roles))
    assert len(singers) >= 2, "no singer was held out"
    encoder, filters = SpeakerEncoder(), Filter(features)
    heard: dict[bytes, np.ndarray] = {}

    def embed(wave: np.ndarray) -> np.ndarray:
        key = wave.tobytes()
        if key not in heard:
            heard[key] = encoder.embed(wave, rate)
        return heard[key]

    voices = {one: centroid(np.stack([embed(wave) for wave in known[one]])) for one in singers}
    means = {one: filters.mean(known[one]) for one in singers}
    targets: dict[str, Any] = {}
    for one in singers:
        for n, wave in enumerate(known[one]):
            soundfile.write(tmp_path / f"{one}-{n}.wav", wave, rate)
        targets[one] = converter.reference(str(tmp_path / f"{one}-*.wav"))
    systems, predictor = ("copy", "filter", "model", "real"), NaturalnessPredictor()
    natural: dict[str, list[float]] = {name: [] for name in systems}
    cosines: dict[str, list[float]] = {name: [] for name in systems}
    ratios: dict[str, list[float]] = {name: [] for name in systems}
    phones: dict[str, list[float]] = {name: [] for name in ("copy", "filter", "model")}
    kept: dict[str, list[float]] = {name: [] for name in phones}
    analysed = {one: Group(known[one], rate, analyse_all) for one in singers}
    for source, target in itertools.permutations(singers, 2):
        waves = scored[source][:: len(scored[source]) // EACH][:EACH]
        made = {
            "copy": waves,
            "filter": [filters.apply(one, means[target] - means[source]) for one in waves],
            "model": [converter.convert(one, rate, to=targets[target])[0] for one in waves],
            "real": scored[target][:: len(scored[target]) // EACH][:EACH],
        }
        sources = Group(waves, rate, analyse_all)
        for name, outputs in made.items():
            row = Row(
                outputs=Group(outputs, rate, analyse_all),
                sources=sources,
                reference=analysed[target],
                source_reference=analysed[source],
            )
            cosines[name] += [float(embed(one) @ voices[target]) for one in outputs]
            natural[name] += [float(predictor.predict(one, rate)[0]) for one in outputs]
            ratios[name] += list(voice_ratio.measure(row)["voice_ratio"].sums[:, 0])
            if name in phones:
                found = content.measure(row)
                kept[name] += list(found["content"].sums[:, 0])
                phones[name] += list(found["phone_distance"].sums[:, 0])
    value = {name: np.array(one) for name, one in cosines.items()}
    gap = value["real"] - value["copy"]
    print(
        f"\n{len(singers)} singers, {len(gap)} conversions; {MODEL} step {converter.state['step']}"
    )
    for told in ("config", "recipe", "data"):
        text = json.dumps(converter.state.get(told), sort_keys=True)
        print(told, hashlib.sha256(text.encode()).hexdigest()[:8])
    for name in systems:
        line = [
            f"{name}: cosine {value[name].mean():.3f}, voice ratio {np.mean(ratios[name]):.2f}",
            f"DistillMOS {np.mean(natural[name]):.2f}",
        ]
        if name in phones:
            line.append(f"gap closed {interval(value[name] - value['copy'], gap)}")
            line.append(f"content {np.mean(kept[name]):.3f}, phones {np.mean(phones[name]):.3f}")
        print(", ".join(line))
    print("model less filter:", interval(value["model"] - value["filter"], gap))
    both = np.array(ratios["model"]) - np.array(ratios["filter"])
    span = np.array(ratios["real"]) - ratios["copy"]
    print("the same by voice ratio:", interval(both, span))
    closed = np.array(ratios["model"]) - ratios["copy"]
    print("gap closed by voice ratio:", interval(closed, span))

    vocoder = vocoders.get(str(ISTFT)) if ISTFT.is_dir() else None
    others = ("griffin_lim", *(["istft"] if vocoder else []))
    distances: dict[str, list[float]] = {name: [] for name in ("model, own voice", *others)}
    for one in singers:
        for wave in scored[one]:
            again = {"model, own voice": converter.convert(wave, rate, to=targets[one])[0]}
            mel = {"mel": log_mel(wave, GRIFFIN_LIM)}
            again["griffin_lim"] = GriffinLim().synthesise(mel, GRIFFIN_LIM, len(wave))
            if vocoder is not None:
                assert vocoder.features is not None
                mel = {"mel": log_mel(wave, vocoder.features)}
                again["istft"] = vocoder.synthesise(mel, vocoder.features, len(wave))
            for name, sound in again.items():
                distances[name].append(log_spectral_distance(*aligned(sound, wave, rate, rate)))
    values = {name: np.array(one) for name, one in distances.items()}
    ours = values["model, own voice"]
    draws = np.random.default_rng(0).integers(len(ours), size=(2000, len(ours)))
    for name, one in values.items():
        low, high = np.quantile((ours - one)[draws].mean(axis=1), [0.025, 0.975])
        print(f"LSD {name}: {one.mean():.2f} dB over {len(one)} recordings, the model less it: ")
        print(f"  {(ours - one).mean():.2f} ({low:.3f}..{high:.3f})")
