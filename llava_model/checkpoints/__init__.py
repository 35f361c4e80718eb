"""Checkpoints on disk: ours (manifest, parts, trained), transformers' (hf), llava_original, and llama.cpp's (gguf)."""
