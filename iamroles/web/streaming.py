"""Sending a body piece by piece: under ASGI it must be an asynchronous iterator, or the server buffers the whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse


def stream(request: HttpRequest, chunks: Iterator[bytes], content_type: str) -> StreamingHttpResponse:
    """Returns a response that reads `chunks` as they are sent."""
    content = _async(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(content, content_type=content_type)


async def _async(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    def read() -> bytes | None:
        return next(chunks, None)

    while (chunk := await sync_to_async(read, thread_sensitive=True)()) is not None:
        yield chunk
