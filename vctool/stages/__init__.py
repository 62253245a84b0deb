"""The numbered stages of `run.sh`, a file each; no command line."""
