"""Groups of commands that `vctool.cli` puts together; as light to import as that."""
