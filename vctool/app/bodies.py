"""Bodies of requests: what is read of them, and how much."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from vctool.app.session import Refused

MOST_JSON = 2**16
"""Bytes of a request that is no recording."""

REST_BYTES, REST_SECONDS = 2**26, 1.0
"""How much is read of what was refused before all of it had come, and for how long [s]."""


async def rest(request: Request) -> None:
    """Read what is still on its way of a body that nobody wants.

    A connection that is closed before that is reset, and the answer can be lost with it.
    """
    read = 0
    try:
        async with asyncio.timeout(REST_SECONDS):
            async for piece in request.stream():
                read += len(piece)
                if read > REST_BYTES:
                    return
    except (ClientDisconnect, TimeoutError):
        return
    except RuntimeError:  # starlette's, where all of it has been read
        return


async def json_of(request: Request) -> Any:
    """Read a small body of JSON.

    Raises:
        Refused: it is too large, or no JSON.
    """
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON:
            raise Refused(413, f"A request may have {MOST_JSON >> 10} KB; this one has more.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(422, "This request is no JSON.") from None
