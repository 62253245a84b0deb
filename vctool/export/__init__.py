"""Models that run in real time, outside of Python: export to ONNX, checks, and a host in C."""
