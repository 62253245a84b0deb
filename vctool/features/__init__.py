"""Sound to numbers and back: mel, WORLD, chroma. No files, no speakers."""
