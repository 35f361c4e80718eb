"""The data-type ablation of the LLaVA paper (its table 4), at any model size, from one file of settings.

plan (TOML → what is compared with what) → mixtures (samples sorted by response type, one file each) →
run (every variant trained from the same checkpoint, asked, scored; goes on where it was) → table (beside the paper's).
"""
