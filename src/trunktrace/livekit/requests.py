"""A request for a SIP participant, observed: told before it is sent, and again with its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.trace import Span

from trunktrace.guard import swallowing
from trunktrace.livekit.invite import Invite

if TYPE_CHECKING:
    from trunktrace.livekit.room import RoomObserver

_observed: Final[ContextVar[bool]] = ContextVar("trunktrace-request-observed", default=False)


def is_observed() -> bool:
    """Whether somebody of ours watches the request that is being made here."""
    return _observed.get()


@contextmanager
def observed_here() -> Generator[None, None, None]:
    """Whoever asks in this block watches the request himself."""
    token = _observed.set(True)
    try:
        yield
    finally:
        _observed.reset(token)


@contextmanager
def below(span: Span) -> Generator[None, None, None]:
    """What is traced in this block, as the HTTP request, stands below `span`. Raises nothing."""
    tokens: list[Token[Context]] = []
    with swallowing("requests.attach"):
        # Below a span that could not be made the request would be the root of a trace of its own.
        if span.get_span_context().is_valid:
            tokens.append(context.attach(trace.set_span_in_context(span)))
    try:
        yield
    finally:
        for token in tokens:
            with swallowing("requests.detach"):
                context.detach(token)


async def place(
    observer: RoomObserver,
    request: Any,
    send: Callable[[Any], Awaitable[Any]],
    *,
    trunk_id: str | None = None,
    trunk: Any = None,
    on_start: Callable[[Invite | None], None] | None = None,
) -> tuple[Any, Invite | None]:
    """Send the request, and tell the observer what becomes of it; its exceptions pass unchanged.

    The answer of the API, and the attempt as it was observed; None where it could not be.
    `trunk_id` and `trunk` (a trunk's configuration) are given to the API beside the request.
    `on_start` is told of the attempt before the request is sent: who gets an exception needs it.
    """
    invite = observer.dial_started(request, trunk_id=trunk_id, trunk=trunk)
    if on_start is not None:
        on_start(invite)
    if invite is None:
        return await send(request), None
    try:
        with below(invite.span):
            answer = await send(observer.headers.onto(request, invite))
    except BaseException as error:
        observer.dial_failed(invite, error)
        raise
    observer.dial_returned(invite, answer)
    return answer, invite
