"""The library over HTTP: for programs (`/v1`), for OpenAI's clients, and for agents (MCP).

access → which request may what; libraries → the open ones by name; library_routes, openai_routes → what is answered;
tools → the same for agents; app puts them together, server listens.
"""
