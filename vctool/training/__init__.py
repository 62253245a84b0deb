"""Stage 3 around the engine: setup, samples, extending and fine-tuning."""
