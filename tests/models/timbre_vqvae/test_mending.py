"""What a conversion takes from its reference and its source beside the decoder's spectra."""

import numpy as np
import pytest
import torch
from torch import Tensor

from vctool.config import PROJECT_ROOT, build, read_yaml
from vctool.features.mel import mel_frequencies
from vctool.features.mel_bands import MelBands
from vctool.features.settings import FeatureConfig
from vctool.models.timbre_vqvae import mending
from vctool.models.timbre_vqvae.content import Content
from vctool.models.timbre_vqvae.spectra import (
    LOWEST,
    PER_SEMITONE,
    PITCHES,
    SEMITONES,
    Spectra,
)

FEATURES = build(FeatureConfig, read_yaml(PROJECT_ROOT / "conf/features/16k_timbre.yaml"), "16k")
BINS, FRAMES = 1 + FEATURES.n_fft // 2, 40
FINE, BROAD = MelBands(FEATURES, 128), MelBands(FEATURES, mending.ENVELOPE_BANDS)
MENDER = mending.Mender(FEATURES, Spectra(FEATURES))


def comb(every: int, tilt: float = 0.0) -> Tensor:
    """Partials at every so many bins, 40 dB above what is between: (1, K, F)."""
    level = np.where(np.arange(BINS) % every == 0, -1.0, -5.0) - tilt * np.arange(BINS) / BINS
    return torch.from_numpy(10.0 ** np.repeat(level[None, :, None], FRAMES, axis=2)).float()


def mended(power: Tensor, active: Tensor, real: Tensor, made: Tensor, notes: Tensor) -> Tensor:
    """Return powers with what `made` lacks of `real`, where it plays `notes`, made up for."""
    return MENDER.mend(power, active, MENDER.compare(real, made, notes))


def note(semitone: int, frames: int = FRAMES) -> Tensor:
    active = torch.zeros(1, PITCHES, frames)
    active[:, PER_SEMITONE * (semitone - LOWEST)] = 1.0
    return active


def test_what_the_decoder_lacks_of_a_reference_is_made_up_for() -> None:
    """The envelope alone: no pitch sounds. Frames that do not sound do not count."""
    real, made = comb(25), comb(25, tilt=2.0)
    silent = torch.zeros(1, PITCHES, FRAMES)
    lacking = MENDER.compare(real, made, silent)
    centres = mel_frequencies(FEATURES.model_copy(update={"n_mels": mending.BANDS}))[1:-1]
    expected = 2.0 * centres / (0.5 * FEATURES.rate)
    assert lacking.envelope.shape == (mending.BANDS, FRAMES)
    assert np.abs(lacking.envelope[:, 0].numpy() - expected).max() < 0.05
    found = mended(made, silent, real, made, silent)
    before, after = ((torch.log10(one / real)).abs().mean() for one in (made, found))
    assert float(after) < 0.06 * float(before)
    torch.testing.assert_close(mended(real, silent, real, real, silent), real)
    quiet = torch.cat([real, 1e-9 * torch.rand_like(real)], dim=2)
    beside = torch.cat([made, torch.full_like(made, 1e-8)], dim=2)
    known = MENDER.compare(quiet, beside, torch.cat([silent, silent], dim=2))
    for one, other in zip(lacking, known, strict=True):
        torch.testing.assert_close(one, other)


def test_each_frame_is_mended_as_frames_like_it() -> None:
    """An instrument of whose bright frames the decoder makes too little, of dull ones too much."""
    bright, dull = comb(25), comb(25, tilt=4.0)
    silent = torch.zeros(1, PITCHES, FRAMES)
    both = torch.cat([silent, silent], dim=2)
    real = torch.cat([bright * 10**0.5, dull * 10**-0.5], dim=2)
    lacking = MENDER.compare(real, torch.cat([bright, dull], dim=2), both)
    for power, by in ((bright, 0.5), (dull, -0.5)):
        moved = torch.log10(MENDER.mend(power, silent, lacking) / power)
        assert float(moved.mean()) == pytest.approx(by, abs=0.02)
    # what is unlike all of them is moved by their mean, which is none here
    other = comb(25, tilt=12.0)
    assert float(torch.log10(MENDER.mend(other, silent, lacking) / other).abs().max()) < 0.05


def test_partials_that_lack_are_made_up_for_at_another_pitch() -> None:
    """A partial of one and a half times the pitch, as organs have it, that no decoder plays."""
    spacing = FEATURES.rate / FEATURES.n_fft

    def played(semitone: int, times: tuple[float, ...]) -> Tensor:
        pitch = 440.0 * 2 ** ((semitone - 69) / 12)
        power = torch.full((1, BINS, FRAMES), 1e-5)
        for one in times:
            power[:, round(one * pitch / spacing)] = 0.1
        return power

    def at_fifth(semitone: int, moved: Tensor) -> float:
        return float(moved[0, round(1.5 * 440.0 * 2 ** ((semitone - 69) / 12) / spacing), 5])

    harmonic, organ = (1.0, 2.0, 3.0), (1.0, 1.5, 2.0, 3.0)
    lacking = MENDER.compare(played(57, organ), played(57, harmonic), note(57))
    for semitone in (57, 59):
        power = played(semitone, harmonic)
        rise = torch.log10(MENDER.mend(power, note(semitone), lacking) / power)
        assert at_fifth(semitone, rise) > 1.0
        between = round(2.5 * 440.0 * 2 ** ((semitone - 69) / 12) / spacing)
        assert abs(float(rise[0, between, 5])) < 0.3
        # where notes are spread as a chord's, partials stay: the envelope alone moves
        chord = torch.zeros(1, PITCHES, FRAMES)
        chord[:, 60:150] = 0.5
        spread = torch.log10(MENDER.mend(power, chord, lacking) / power)
        assert at_fifth(semitone, spread) < 0.35 * at_fifth(semitone, rise)


def test_partials_are_told_and_moved_only_where_a_single_pitch_sounds() -> None:
    """A chord with one pitch above all others: what is played is moved by no partials of it."""
    harmonic, rich = comb(25), comb(25)
    rich[:, 12::25] = 1e-2  # halfway between the partials, in every frame
    chord = torch.full((1, PITCHES, FRAMES), 0.2)
    single = note(57)
    chord[single > 0] = 0.3  # the strongest is the pitch of the note, so partials would fit

    def rise(told: Tensor, played: Tensor) -> float:
        """Return how far mending moves the bins halfway, beside the harmonics [bel]."""
        moved = torch.log10(mended(harmonic, played, rich, harmonic, told) / harmonic)[0, :, 20]
        return float(moved[12:400:25].mean() - moved[25:400:25].mean())

    assert rise(single, single) > 1.0
    assert rise(single, chord) == pytest.approx(0.0, abs=0.1)
    assert rise(chord, single) == pytest.approx(0.0, abs=0.1)


def playing(count: int, much: float) -> Tensor:
    active = torch.zeros(1, SEMITONES, FRAMES)
    active[:, 20 : 20 + count] = much
    return active


def test_partials_are_the_source_s_own_where_pitches_are_unsure() -> None:
    made, own = comb(25, tilt=2.0), comb(17)
    sure, unsure = (
        mending.blended(made, own, playing(count, much), BROAD)
        for count, much in ((1, 1.0), (12, 0.2))
    )

    def stands_out(power: Tensor, every: int) -> float:
        """Return how far bins at every so many lie over those between, from bin 200 on [bel]."""
        logs = torch.log10(power[0, 200:, 20])
        at = (torch.arange(200, BINS) % every == 0) & (torch.arange(200, BINS) % (42 - every) != 0)
        between = (torch.arange(200, BINS) % 25 != 0) & (torch.arange(200, BINS) % 17 != 0)
        return float(logs[at].mean() - logs[between].mean())

    assert stands_out(sure, 25) == pytest.approx(4.0 * (1 - mending.SHARE), abs=0.15)
    assert stands_out(sure, 17) == pytest.approx(4.0 * mending.SHARE, abs=0.15)
    assert stands_out(unsure, 25) == pytest.approx(4.0 * (1 - mending.UNSURE_SHARE), abs=0.2)
    assert stands_out(unsure, 17) == pytest.approx(4.0 * mending.UNSURE_SHARE, abs=0.2)
    # the envelope stays the decoder's, whatever the partials
    made, sure, unsure = (torch.log10(one[0, :, 20]) for one in (made, sure, unsure))
    tilts = [float(one[850:950].mean() - one[250:350].mean()) for one in (made, sure, unsure)]
    assert tilts[0] == pytest.approx(-2.0 * 600 / BINS, abs=0.1)
    for one in tilts[1:]:
        assert one == pytest.approx(tilts[0], abs=0.15)


def test_of_a_source_its_partials_alone_are_taken() -> None:
    """Its envelope is far from the conversion's, so a tenth of it would be seen."""
    made, own = comb(25), comb(17, tilt=4.0)

    def tilt(power: Tensor) -> float:
        logs = torch.log10(power[0, :, 20])
        return float(logs[850:950].mean() - logs[250:350].mean())

    for count, much in ((1, 1.0), (12, 0.2)):
        found = mending.blended(made, own, playing(count, much), BROAD)
        assert tilt(found) == pytest.approx(tilt(made), abs=0.05)
    # and a melody, too, has some of its partials: those of neither lie lower
    melody = torch.log10(mending.blended(made, own, playing(1, 1.0), BROAD)[0, :, 20])
    at = [17 * one for one in range(12, 40) if 17 * one % 25]
    neither = [one + 1 for one in at if (one + 1) % 25 and (one + 1) % 17]
    assert float(melody[at].mean() - melody[neither].mean()) > 0.2


def test_of_a_melody_alone_faint_pitches_are_left_out() -> None:
    melody, chord = note(57), torch.full((1, PITCHES, FRAMES), 0.2)
    melody[:, PER_SEMITONE * (64 - LOWEST)] = 0.2  # an echo
    melody[:, PER_SEMITONE * (69 - LOWEST)] = 0.5
    rest = torch.full((1, PITCHES, FRAMES), 0.1), torch.full((1, 1, FRAMES), 0.1)
    found = mending.cleared(Content(melody, *rest))
    expected = melody.clone()
    expected[:, PER_SEMITONE * (64 - LOWEST)] = 0.0
    torch.testing.assert_close(found, Content(expected, *rest))
    torch.testing.assert_close(mending.cleared(Content(chord, *rest)), Content(chord, *rest))


def test_a_sound_blended_with_itself_is_itself() -> None:
    power = comb(25)
    for count, much in ((1, 1.0), (12, 0.2), (0, 0.0)):
        same = mending.blended(power, power, playing(count, much), BROAD)
        torch.testing.assert_close(same, power, rtol=1e-3, atol=1e-9)


def test_bands_are_means_and_curves_go_through_them() -> None:
    flat = torch.full((1, BINS, 3), 0.25)
    torch.testing.assert_close(FINE(flat), torch.full((1, 128, 3), 0.25))
    torch.testing.assert_close(FINE.curve(flat, 0.0), torch.log10(flat))
    slope = torch.linspace(0.0, 1.0, 128)[None, :, None]
    spread = FINE.spread(slope)[0, :, 0]
    assert spread.shape == (BINS,) and bool((spread.diff() >= 0).all())
    assert float(spread[0]) == 0.0 and float(spread[-1]) == pytest.approx(1.0)
