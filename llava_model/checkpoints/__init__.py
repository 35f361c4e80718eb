"""Checkpoints on disk: a model in memory ↔ folders and files.

manifest         our folders: complete or absent, with the list of their files; fingerprints of weights
parts            the parts in them, loaded and saved; whole models in our format or transformers'
hf               transformers' LLaVA, for vLLM and SGLang too; llava_original: the original code's checkpoints
gguf             llama.cpp's two files; gguf_vocabulary: the tokenizer in them
"""
