"""Pictures and words → vectors, behind one protocol.

protocol (what every embedder offers, and the square of pixels that it sees) → registry (a kit's format → its embedder)
→ pocket (a classifier and a sentence encoder, with the trained joint_space) or open_clip (any of its models); both take
passages and questions to text, the sentence encoder.
"""
