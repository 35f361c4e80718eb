"""The `llavero` command: main (its verbs), model (`llavero model …`), terminal and documents (how results look)."""
