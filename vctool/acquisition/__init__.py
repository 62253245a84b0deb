"""Acquire corpora: fetch, unpack, survey and split them, and make data dirs."""
