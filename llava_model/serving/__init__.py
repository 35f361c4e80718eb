"""The model as a service: in this process, or over HTTP for OpenAI's clients.

engine         turns → text as it is written
opening        a kit by its name, or a folder → its engine
batching       one thread that reads prompts and writes many replies at once
prefixes       beginnings of prompts that are kept, so that what several share is read once
side_by_side   one forward pass for requests of different lengths
generate       how a prompt is read and a token is chosen; one reply alone
http/          the same engine behind OpenAI's chat interface
"""
