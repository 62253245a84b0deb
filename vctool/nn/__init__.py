"""Layers and tensor operations that two or more families use."""
