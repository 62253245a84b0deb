"""VAE-GAN: one encoder for every voice, and a decoder for each."""
