import asyncio
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from ui.page.watched import Watched


@pytest.mark.parametrize(("method", "told"), [("GET", "GET /"), ("MADE-UP", "other /")])
def test_the_audit_log_knows_a_method_or_calls_it_other(
    method: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        async def nothing(*message: Any) -> Any:
            return {"type": "http.request"}

        scope = {"type": "http", "method": method, "path": "/", "headers": []}
        await Watched(PlainTextResponse("hello"))(scope, nothing, nothing)

    with caplog.at_level("INFO", logger="llavero.audit"):
        asyncio.run(ask())
    assert f'"what": "{told}"' in caplog.text and "MADE" not in caplog.text
