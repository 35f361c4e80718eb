"""The `llavero` command: words in, lines or one JSON document out.

main            the command itself, and the verbs of a library and of kits
model_…         the verbs of `llavero model`, a file for each group
serve_model     `llavero serve`
terminal        how results and errors look
progress        how progress looks
"""
