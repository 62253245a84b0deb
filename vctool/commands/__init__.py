"""Commands, a file for each group of them; as light to import as `vctool.cli`."""
