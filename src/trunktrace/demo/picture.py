"""Pictures of span records with rich: one call as a tree, the calls by carrier as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from trunktrace import conventions as c
from trunktrace.demo.summary import DEGRADED_LOSS_RATIO, CarrierSummary, Summary
from trunktrace.demo.wire import AttributeValue, SpanRecord

_SHOWN: Final = tuple(
    key for key in c.INHERITED_BY_DEFAULT if key not in (c.RTP_LOSS_RATIO, c.RTP_LOSS_METHOD)
)
_FAILED_CODE: Final = 300
_WEB_FONT: Final = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def trace_tree(spans: Sequence[SpanRecord]) -> Tree:
    """The spans of one trace as a tree, in the order of their start.

    Each line has the span's name, its duration, and the facts that it inherited; what failed or
    lost too much is red. A span whose parent is not among `spans` stands at the top.
    """
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[SpanRecord]] = {}
    for span in sorted(spans, key=lambda span: span["start_ns"]):
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    tops = children.get(None, [])
    if len(tops) == 1:
        tree = Tree(_label(tops[0]), guide_style="dim")
        _grow(tree, children, tops[0])
        return tree
    tree = Tree(Text(f"{len(spans)} spans", style="dim"), guide_style="dim")
    for top in tops:
        _grow(tree.add(_label(top)), children, top)
    return tree


def carrier_table(summary: Summary) -> Table:
    """The calls by carrier: calls, final codes, turns, loss of the turns, spans."""
    table = Table(title="Calls by carrier", title_justify="left", title_style="bold")
    table.add_column("carrier")
    for heading in ("calls", "failed", "codes", "turns", "degraded", "loss", "spans"):
        table.add_column(heading, justify="right")
    for name, entry in summary.by_carrier.items():
        table.add_row(name, *_cells(entry), style="red" if _is_bad(entry) else "")
    return table


def _cells(entry: CarrierSummary) -> tuple[str, ...]:
    codes = ", ".join(f"{code} x{count}" for code, count in sorted(entry.codes.items()))
    loss = "-" if entry.mean_loss is None else f"{entry.mean_loss:.1%}"
    counts = (entry.turns, entry.degraded_turns)
    return (str(entry.calls), str(entry.failed), codes, *map(str, counts), loss, str(entry.spans))


def _is_bad(entry: CarrierSummary) -> bool:
    return bool(entry.failed or entry.degraded_turns)


def _grow(
    branch: Tree, children: Mapping[str | None, Sequence[SpanRecord]], span: SpanRecord
) -> None:
    for child in children.get(span["span_id"], ()):
        _grow(branch.add(_label(child)), children, child)


def _label(span: SpanRecord) -> Text:
    attributes = span["attributes"]
    failed = span["error"] or _is_failure(attributes)
    label = Text(span["name"], style="bold red" if failed else "bold", no_wrap=True)
    label.overflow = "ellipsis"
    if span["error"]:
        label.append(" ERROR")
    label.append(f" {(span['end_ns'] - span['start_ns']) / 1e6:.0f} ms", style="not bold cyan")
    loss = attributes.get(c.RTP_LOSS_RATIO)
    if isinstance(loss, float):
        style = "not bold red" if loss > DEGRADED_LOSS_RATIO else "not bold green"
        label.append(f" loss {loss:.1%}", style=style)
    facts = [str(attributes[key]) for key in _SHOWN if attributes.get(key) is not None]
    label.append(" " + " ".join(facts), style="not bold dim")
    return label


def _is_failure(attributes: Mapping[str, AttributeValue]) -> bool:
    code = attributes.get(c.SIP_RESPONSE_STATUS_CODE)
    return isinstance(code, int) and code >= _FAILED_CODE


def write_svg(picture: RenderableType, path: Path, *, width: int, title: str) -> None:
    """Write a picture as SVG; `width` is in characters. It loads nothing from the network."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True)
    console.print(picture)
    svg = console.export_svg(title=title, unique_id="trunktrace")
    # Every machine has a monospace font of its own.
    path.write_text(_WEB_FONT.sub("", svg), encoding="utf-8")
