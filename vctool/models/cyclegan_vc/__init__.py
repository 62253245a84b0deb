"""CycleGAN-VC, CycleGAN-VC2 and MaskCycleGAN-VC: one speaker to another from unpaired speech."""
