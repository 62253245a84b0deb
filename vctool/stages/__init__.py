"""What the numbered stages of `run.sh` do; plain functions, no command line."""
