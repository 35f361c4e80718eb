"""OpenAI's chat interface over HTTP: a request → the JSON, or the events, of a reply.

connections      connections with time limits, and request bodies on their way in
access_control   the address that is listened on, and who is answered
server           routes, one chat completion from body to answer, and the server itself
protocol         a body's JSON → ChatRequest; a reply → the JSON of an answer
request_queue    how many requests wait, whose turn it is, and what cannot fit
"""
