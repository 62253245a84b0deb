"""A trained model at work on recordings of any length."""
