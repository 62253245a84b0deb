"""The family that trains the vocoder `istft`."""
