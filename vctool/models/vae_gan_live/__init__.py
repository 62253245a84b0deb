"""VAE-GAN in real time: trained networks with frozen statistics, and a causal vocoder."""
