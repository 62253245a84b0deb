"""One training loop for every family: steps, checkpoints, logs, processes."""
