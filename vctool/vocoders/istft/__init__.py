"""Pulses and noise filtered at the frame rate, after Vocos."""
