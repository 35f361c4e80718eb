"""The data-type ablation of the LLaVA paper (its table 4), at any model size, from one file of settings.

plan       TOML → what is compared with what; results → tables beside the paper's
mixtures   samples sorted by response type, one file each
run        every variant trained from the same checkpoint, asked and scored; goes on where it was
"""
