"""Which processor an embedder runs on."""


def pick_device(wanted: str) -> str:
    """ "auto" is the GPU where torch sees one, else the CPU; anything else is torch's own name for a device."""
    if wanted != "auto":
        return wanted
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
