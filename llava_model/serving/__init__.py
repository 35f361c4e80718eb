"""The model as a service: in this process, or over HTTP for OpenAI's clients.

engine     turns → text as it is written; opens a kit or a checkpoint by name
generate   prompt → the ids of a reply, with a key-value cache that outlives the call
http/      the same engine behind OpenAI's chat interface
"""
