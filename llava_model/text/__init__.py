"""Turns → the text a model was trained on (templates) → token ids that nobody can forge (tokenize)."""
