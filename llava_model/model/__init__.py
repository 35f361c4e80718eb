"""The network.

config        how the parts are joined, as plain values
towers        pixels → features of a frozen CLIP, SigLIP or timm network
composition   features → projector → the language model's space; token ids and features → logits
"""
