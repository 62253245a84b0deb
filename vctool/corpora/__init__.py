"""One file per corpus: `download(root)` and `prepare(...)` into Kaldi data dirs."""
