"""Data dirs, dumped features, and the batches that training draws from them."""
