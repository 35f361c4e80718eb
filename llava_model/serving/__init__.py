"""The model as a service: in process (`engine`), or over HTTP for OpenAI's clients (`server`).

    connections → gate → bodies → desk → protocol → limits → engine → generate → reply → chat

A connection with a clock; who may ask; the body comes in; a place in the queue; JSON → ChatRequest; what cannot fit is
refused; prompt → tokens → text; the answer, whole or in events.
"""
