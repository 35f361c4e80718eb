"""Pictures and words → vectors, behind one protocol: the pocket kit's embedder and open_clip's."""
