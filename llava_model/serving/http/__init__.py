"""OpenAI's chat interface over HTTP: access_control → server → chat_completions → protocol → request_queue → engine."""
