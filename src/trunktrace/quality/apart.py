"""Which of the agent's incoming streams is the caller's, where nobody has said so.

A room's statistics name no stream by its participant. While only one audio stream comes, it is the
caller's. Of several that come at once nobody can tell, and then nothing is said of the caller:
neither what came nor that nothing did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from trunktrace.quality.rtc import Sample

Stream = tuple[int, str]
"""(SSRC, id of the track)"""


class ToldApart:
    """Looks in, the same looks out; `ambiguous` where the stream may be somebody else's.

    Once several streams came at once, one that is left alone is the caller's only if it came alone
    before.
    """

    __slots__ = ("_known", "_several")

    def __init__(self) -> None:
        self._known: Stream | None = None
        self._several = False

    def take(self, sample: Sample, *, is_sure: bool = False) -> Sample:
        """The look as it is to be used; `is_sure` is whether somebody said whose its stream is."""
        self._several = self._several or sample.ambiguous
        if sample.inbound is None:
            return replace(sample, ambiguous=self._several)
        stream = (sample.inbound.ssrc, sample.inbound.track_id)
        if is_sure or not self._several:
            self._known = stream
        elif stream != self._known:
            return replace(sample, inbound=None, ambiguous=True)
        return sample


def told_apart(samples: Iterable[Sample]) -> Iterator[Sample]:
    """The looks at a call that is over, as they are to be used."""
    streams = ToldApart()
    return (streams.take(sample) for sample in samples)
