"""What carriers, PBXs, SBCs and LiveKit write about calls: pure readers, one module a system.

```python
from trunktrace.sources import Bridge, Reading, source_named

parsed = source_named("asterisk-ami").parse(data, Reading(bridge=Bridge(frozenset({"livekit"}))))
parsed.observations  # what it says, one for each leg of each call
parsed.broken  # what could not be read: line and reason
```

`table.py` has the list, and each system a folder or a module; `kinds.py` tells files apart.
`parsed.py` is what every reader gives, `reading.py` and `ends.py` what it must be told, `draft.py`
how an observation is made, `output.py` how it is printed; `shapes/` is how bytes become records and
values.
"""

from trunktrace.sources.ends import Bridge
from trunktrace.sources.parsed import Broken, Parsed
from trunktrace.sources.reading import Reading
from trunktrace.sources.table import SOURCES, Source, source_named

__all__ = ["SOURCES", "Bridge", "Broken", "Parsed", "Reading", "Source", "source_named"]
