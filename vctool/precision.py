"""Check where lower precision pays off."""

import torch


def computes_bf16(device: torch.device) -> bool:
    """Tell whether a device computes with bf16 natively; emulated, it is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
