"""Corpora for the transfer of timbre: who plays which notes, and their data dirs."""
