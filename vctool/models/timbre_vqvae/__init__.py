"""The notes of one recording with the sound of another."""
