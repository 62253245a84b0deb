"""The commands, one file per group; like `vctool.cli`, they import nothing heavy."""
