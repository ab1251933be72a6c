"""The operator's trunks as LiveKit knows them, where the worker's key may read them."""

from __future__ import annotations

from typing import Any

from trunktrace.livekit.room import RoomObserver
from trunktrace.livekit.settings import Settings


def learned(ctx: Any, settings: Settings, observer: RoomObserver) -> None:
    """Start learning the trunks in the background, if the settings ask for it."""
