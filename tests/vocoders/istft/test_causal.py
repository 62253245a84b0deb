"""The iSTFT vocoder in real time: what it hears and makes of it, and that no frame is early."""

import numpy as np
import pytest
import torch

from tests.vocoders.istft.test_vocoder import CONFIG, OTHERS, voice
from vctool.config import build
from vctool.errors import ConfigError
from vctool.export import checks, parity
from vctool.export import onnx as exporting
from vctool.export.runtime import Exported
from vctool.features import mel, world
from vctool.features.live_mel import LiveMel
from vctool.features.settings import FeatureConfig
from vctool.nn.streaming import whole
from vctool.vocoders.istft.causal import CausalNetwork
from vctool.vocoders.istft.live import Live, LiveSynthesis
from vctool.vocoders.istft.settings import IstftConfig
from vctool.vocoders.istft.vocoder import Vocoder

SMALL = {"width": 16, "blocks": 1, "pitch_width": 16, "pitch_blocks": 1, "causal": True}


def network(features: FeatureConfig = CONFIG, taught: bool = False) -> CausalNetwork:
    torch.manual_seed(0)
    made = CausalNetwork(build(IstftConfig, SMALL, "istft"), features).eval()
    if taught:
        torch.nn.init.normal_(made.head.weight, std=0.1)
    else:
        torch.nn.init.zeros_(made.head.weight)
    return made


@pytest.mark.parametrize("features", OTHERS)
def test_what_is_heard_live_is_the_mel_of_the_recording(features: FeatureConfig) -> None:
    wave = voice()
    live, hop = LiveMel(features), features.hop_length
    heard, memory = [], live.memory
    whole = torch.from_numpy(np.pad(wave, (0, live.delay * hop + -len(wave) % hop)))
    for chunk in whole.view(-1, hop).split((1, 2, 5, len(whole) // hop - 8)):
        made, memory = live(chunk.reshape(1, -1), memory)
        heard.append(made)
    found = torch.cat(heard, dim=1)
    at_once, _ = live(whole[None], live.memory)
    assert torch.equal(found, at_once)
    level = mel.level(wave, features)
    late = found[0, live.delay - 1 :][: len(level)]
    np.testing.assert_allclose(late, level, rtol=0, atol=2e-3)


@pytest.mark.parametrize("features", OTHERS)
def test_before_it_learns_anything_its_sound_has_the_level_of_the_mel(
    features: FeatureConfig,
) -> None:
    wave = voice()
    level = mel.log_mel(wave, features)
    made = Vocoder(network(features)).synthesise({"mel": level}, features, len(wave))
    again = mel.log_mel(made, features)
    loud = level > level.max() - 40
    assert abs(float((again - level)[loud].mean())) < 2.0
    assert float(np.abs(again - level)[loud].mean()) < 4.5


def test_silence_below_all_that_was_learnt_stays_silent() -> None:
    """Networks see mels no lower than their floor, but what they make is as quiet as it was."""
    wave = torch.from_numpy(voice())
    one, silence = network(taught=True), slice(len(wave) + 4000, len(wave) + 12000)
    one.fit(torch.from_numpy(mel.log_mel(voice(), CONFIG)).T[None])
    one.floor.fill_(-50.0)
    made = whole(Live(one), torch.cat([wave, torch.zeros(16000), wave]))
    loud, quiet = (float(part.square().mean().sqrt()) for part in (made[:16000], made[silence]))
    assert quiet < 1e-4 * loud


@pytest.mark.parametrize("hz", [100.0, 180.0, 310.0])
def test_the_pitch_that_features_bring_is_the_pitch_that_is_heard(hz: float) -> None:
    frames = 120
    one = network()
    one.head.bias.data[one.size // 2 + 1 :] = -5.0  # hardly any noise
    time = np.arange((frames - 1) * CONFIG.hop_length) / CONFIG.rate
    sung = sum(0.1 / k * np.cos(2 * np.pi * k * hz * time) for k in range(1, 20))
    features = {
        "mel": mel.log_mel(sung.astype(np.float32), CONFIG),
        "pitch": np.full((frames, 1), hz, np.float32),
    }
    wave = Vocoder(one).synthesise(features, CONFIG, 20000)
    found = world.estimate_f0(wave, CONFIG)
    assert abs(1200 * np.log2(np.median(found[found > 0]) / hz)) < 5
    # and its phase runs on: a whole number of periods later it is the same
    period = CONFIG.rate / hz
    turns = np.arange(4000, 12000) / period
    tone = np.abs(np.mean(wave[4000:12000] * np.exp(-2j * np.pi * turns)))
    parts = [
        np.abs(np.mean(wave[at : at + 1000] * np.exp(-2j * np.pi * np.arange(1000) / period)))
        for at in range(4000, 12000, 1000)
    ]
    assert tone == pytest.approx(np.mean(parts), rel=0.1)


def test_no_sound_is_made_of_later_frames_than_it_waits_for() -> None:
    rng = np.random.default_rng(0)
    mels = torch.from_numpy(rng.normal(-40, 8, (1, CONFIG.n_mels, 60)).astype(np.float32))
    live = LiveSynthesis(network(taught=True))
    place = torch.arange(60)
    before, _ = live(mels, None, place, live.memory())
    changed = mels.clone()
    changed[..., 30] += 20
    after, _ = live(changed, None, place, live.memory())
    apart = (after - before).abs().view(-1, CONFIG.hop_length).amax(dim=1)
    assert not apart[:30].any() and apart[30] > 0


def test_a_clip_in_training_is_what_a_stream_begins_with() -> None:
    rng = np.random.default_rng(0)
    hop, frames = CONFIG.hop_length, 24
    level = -40 + 8 * torch.from_numpy(rng.normal(size=(1, CONFIG.n_mels, frames))).float()
    f0 = torch.full((1, frames), 170.0)
    one = network(taught=True)
    noise = torch.from_numpy(rng.normal(size=(1, frames * hop))).float()
    trained = one(level, f0, noise).wave[0].detach()
    live = LiveSynthesis(one)
    made, _ = live.network.run(
        level, f0, noise.unflatten(-1, (-1, hop)), torch.arange(frames), live.memory()
    )
    late = live.late * hop - hop // 2
    streamed = made.wave[0, late:]
    np.testing.assert_allclose(trained[: len(streamed)], streamed, rtol=0, atol=2e-3)
    assert trained.abs().max() > 0.05


def test_a_click_is_loudest_in_the_hop_where_it_was() -> None:
    hop = CONFIG.hop_length
    stream = Live(network())
    place, silence = 80 * hop, torch.zeros(160 * hop)
    clicked = silence.clone()
    clicked[place] = 0.5
    changed = (whole(stream, clicked) - whole(stream, silence)).square()
    around = np.convolve(changed.numpy(), np.ones(2 * hop), "same")
    assert abs(int(around.argmax()) - place) < hop // 2


def test_exported_it_is_the_same_in_every_cut() -> None:
    stream = Live(network(OTHERS[2], taught=True))
    exported = Exported(checks.require(exporting.graph(stream), stream), "causal")
    found = parity.measure(stream, lambda: exported.run({}), {}, 0.5)
    assert found.latency == stream.latency == (3 + 4 - 1) * OTHERS[2].hop_length


def test_settings_that_have_no_form_in_real_time_are_refused() -> None:
    for wrong in ({"window_hops": 5}, {"excitation": "none"}):
        with pytest.raises(ConfigError, match="causal needs an even window_hops and excitation"):
            build(IstftConfig, SMALL | wrong, "istft")
