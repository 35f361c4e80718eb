"""How much a conversation may hold: known before a picture is decoded or a word tokenised.

A model's own bounds come from its context: a message is at least one token, a picture takes a fixed number of them, and
no token stands for more characters than the longest one of the vocabulary. Whatever is over them cannot fit. On a model
with a very long context the settings are reached first.
"""

from dataclasses import dataclass

from llava_model.errors import ImagesNotSupportedError, RequestRefusedError
from llava_model.serving.engine import Engine
from llava_model.serving.http.protocol import ChatRequest


@dataclass(frozen=True, kw_only=True, slots=True)
class ConversationLimits:
    """Of one request, all its messages together."""

    messages: int = 4_096
    """Turns of the conversation, the system's included."""

    pictures: int = 64
    """However small they are; `max_pixels` bounds their size."""

    characters: int = 2_000_000
    """Tokenising as many takes about 4 s on one core."""

    def check(self, asked: ChatRequest, engine: Engine) -> None:
        """Raises RequestRefusedError with both numbers, or ImagesNotSupportedError."""
        pictures = sum(len(said.pictures) for said in asked.messages)
        if pictures and not engine.sees_images:
            raise ImagesNotSupportedError(engine.name, pictures)
        characters = sum(len(said.text) for said in asked.messages)
        _compare("messages", len(asked.messages), min(self.messages, engine.context_tokens))
        _compare("pictures", pictures, min(self.pictures, engine.most_images))
        _compare("characters", characters, min(self.characters, engine.most_characters))


def _compare(what: str, found: int, most: int) -> None:
    if found > most:
        raise RequestRefusedError(
            f"the conversation has {found:,} {what}, there is room for {most:,}",
            param="messages",
            code="context_length_exceeded",
        )
