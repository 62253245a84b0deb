"""The iSTFT vocoder: pulses and noise filtered at the frame rate, after Vocos."""
