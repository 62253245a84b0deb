"""The family that trains the vocoder `hifigan`."""
