"""The house rules of the source tree, read from its syntax: floors, sizes, who may import whom."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

import trunktrace
from trunktrace import conventions

SOURCE = Path(__file__).parents[1] / "src"

FLOORS = {
    "errors": 0,
    "conventions": 0,
    "clock": 1,
    "guard": 1,
    "belief": 1,
    "windows": 1,
    "timeline": 1,
    "facts": 1,
    "redaction": 2,
    "sip": 2,
    "quality": 2,
    "dropped": 2,
    "directory": 3,
    "propagation": 3,
    "sources": 3,
    "diagnosis": 3,
    "signatures": 3,
    "voice": 3,
    "persons": 3,
    "merge": 4,
    "evidence": 4,
    "statements": 4,
    "remembered": 4,
    "media": 2,
    "turns": 4,
    "spans": 4,
    "livecall": 4,
    "registry": 4,
    "metrics": 5,
    "watch": 5,
    "evaluation": 5,
    "processor": 6,
    "export": 6,
    "start": 6,
    "call_baggage": 6,
    "fetch": 6,
    "record": 6,
    "trace_ids": 6,
    "testing": 6,
    "livekit": 7,
    "demo": 8,
    "relay": 8,
    "cohorts": 8,
    "cli": 9,
    "__main__": 10,
    "__init__": 10,
}
"""A module imports only from a lower floor or from its own folder; single modules of one floor,
which stand in the same folder, may be imported on it. An import inside a function counts as one at
the top does, and so does one under TYPE_CHECKING: who must be understood to understand a module is
the same whenever the import runs."""

SDK_FLOOR = 6
"""From here up the OpenTelemetry SDK may be loaded; below, only its API (and the SDK's types)."""

STDLIB_ONLY = frozenset(
    {"errors", "conventions", "facts", "timeline", "sip", "sources", "diagnosis", "voice"}
)
"""Pure modules: nothing of a third party, the OpenTelemetry API included. One exception: the
grammar of SIP messages is a library's, in `sip/message.py`."""

CONFINED = {
    "livekit": frozenset({"livekit"}),
    "wrapt": frozenset({"livekit"}),
    "typer": frozenset({"cli", "demo"}),
    "rich": frozenset({"cli", "demo"}),
    "phonenumbers": frozenset({"redaction", "directory"}),
    "numpy": frozenset({"quality"}),
    "sipmessage": frozenset({"sip"}),
    "cryptography": frozenset({"signatures"}),
    "jwt": frozenset({"signatures"}),
    "twilio": frozenset({"fetch"}),
}
"""Third party -> the modules or folders of trunktrace that may import it."""

ANYWHERE = frozenset({"opentelemetry"})
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40


@dataclass(frozen=True)
class Import:
    """One imported module, where it stands, and when it runs."""

    name: str
    line: int
    in_function: bool
    for_types_only: bool

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


@dataclass(frozen=True)
class Module:
    """One source file, with what the rules ask of it."""

    path: Path
    parts: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.path.relative_to(SOURCE))

    @property
    def top(self) -> str:
        """The module or folder right under `trunktrace` that this file belongs to."""
        return self.parts[1] if len(self.parts) > 1 else "__init__"

    @property
    def package(self) -> tuple[str, ...]:
        return self.parts if self.path.name == "__init__.py" else self.parts[:-1]

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def imports(self) -> list[Import]:
        return list(_imports(self, self.tree))

    @property
    def inside(self) -> Iterator[tuple[Import, str]]:
        """Each import of ours, with the module or folder under `trunktrace` that it names."""
        for item in self.imports:
            if item.root == "trunktrace":
                yield item, item.name.split(".")[1] if "." in item.name else "__init__"


def _imports(
    module: Module, node: ast.AST, *, in_function: bool = False, for_types_only: bool = False
) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        names: list[str] = []
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            base = _absolute(module, child)
            names = [_submodule_or(base, alias.name) for alias in child.names]
        for name in names:
            yield Import(name, child.lineno, in_function, for_types_only)
        yield from _imports(
            module,
            child,
            in_function=in_function or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)),
            for_types_only=for_types_only or _asks_type_checking(child),
        )


def _asks_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    base = module.package[: len(module.package) - node.level + 1]
    return ".".join((*base, *(node.module or "").split("."))).rstrip(".")


def _submodule_or(base: str, name: str) -> str:
    """`from trunktrace import guard` imports `trunktrace.guard`; of others the base is enough."""
    full = f"{base}.{name}"
    return full if full in _names() else base


def _modules() -> list[Module]:
    found = []
    for path in sorted((SOURCE / "trunktrace").rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found.append(Module(path, parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def _names() -> frozenset[str]:
    return frozenset(".".join(module.parts) for module in MODULES)


MODULES = _modules()
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def test_every_module_has_a_floor() -> None:
    """A module or folder that is not in the table has no place in the house yet."""
    assert {module.top for module in MODULES} <= FLOORS.keys()


@every_module
def test_imports_go_down(module: Module) -> None:
    """A module imports only from a lower floor or from its own folder."""
    wrong = [
        f"line {item.line}: {item.name} (floor {FLOORS[top]})"
        for item, top in module.inside
        if top != module.top
        and not (FLOORS[top] < FLOORS[module.top] or _stands_beside(module, top))
    ]
    assert not wrong, f"{module} is on floor {FLOORS[module.top]}: {wrong}"


def _stands_beside(module: Module, top: str) -> bool:
    """A single module of the same floor; never a folder's inside from outside of it."""
    return (SOURCE / "trunktrace" / f"{top}.py").exists() and FLOORS[top] == FLOORS[module.top]


SHARED_FOLDERS = frozenset({"shapes"})
SINGLE_SYSTEMS = frozenset({"plivo", "signalwire", "vonage"})
"""Systems of which a single module in `sources/` reads the records."""

ACROSS = {
    ("table", "*"): "the list of all readers",
    ("kinds", "sbc"): "an SBC's CSV is known by its columns alone",
    ("acc", "rtpengine"): "Kamailio's CDR passes on rtpengine's numbers",
    ("hep", "livekit"): "the identity of a LiveKit call stands in SIP headers",
    ("hep", "rtcp"): "HEP carries RTCP packets",
    ("hep", "vq_rtcpxr"): "HEP carries quality reports in SIP",
    ("plivo", "freeswitch"): "Plivo names hang-up causes as FreeSWITCH does",
    ("radius", "sbc"): "gateways write times and causes in RADIUS as in CSV",
    ("signalwire", "freeswitch"): "SignalWire scores audio as FreeSWITCH does",
}
"""What one system may import of another, and why."""


def _across() -> dict[tuple[str, str], str]:
    """Each pair (module or system, other system) under `sources/` of which the one imports."""
    inside = [module for module in MODULES if module.top == "sources" and len(module.parts) > 2]
    folders = {module.parts[2] for module in inside if len(module.package) > 2}
    systems = (folders - SHARED_FOLDERS) | SINGLE_SYSTEMS
    found: dict[tuple[str, str], str] = {}
    for module in inside:
        for item, top in module.inside:
            other = item.name.split(".")[2] if top == "sources" and item.name.count(".") > 1 else ""
            if other in systems and other != module.parts[2]:
                found[module.parts[2], other] = f"{module}, line {item.line}"
    return found


def test_systems_do_not_lean_on_each_other() -> None:
    """A system's reader imports another system's only for a reason that is named."""
    wrong = {
        pair: where
        for pair, where in _across().items()
        if pair not in ACROSS and (pair[0], "*") not in ACROSS
    }
    assert not wrong


def test_each_reason_is_needed() -> None:
    """Nothing is allowed that nobody does any more."""
    used = _across().keys()
    assert {pair for pair in ACROSS if pair[1] != "*"} <= used


def test_no_import_cycle() -> None:
    """No module reaches itself by following imports, those inside functions included."""
    graph = {".".join(module.parts): {item.name for item, _ in module.inside} for module in MODULES}
    graph["trunktrace"] = set()  # the names of the package are lazy: it imports nothing when loaded
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"cycle: {' -> '.join((*path[path.index(name) :], name))}"
        if name not in done:
            for target in sorted(graph.get(name, ())):
                if target != name:
                    visit(target, (*path, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@every_module
def test_third_parties_are_confined(module: Module) -> None:
    """Each third party is imported only where the table allows it."""
    wrong = [
        f"line {item.line}: {item.name}"
        for item in module.imports
        if not _is_stdlib(item) and item.root != "trunktrace" and not _may_import(module, item)
    ]
    assert not wrong, f"{module} imports {wrong}"


def _is_stdlib(item: Import) -> bool:
    return item.root in sys.stdlib_module_names


def _may_import(module: Module, item: Import) -> bool:
    if item.root == "sipmessage":
        return module.path.name == "message.py" and module.top == "sip"
    if module.top in STDLIB_ONLY or module.top == "__init__":
        return False
    if item.root == "opentelemetry" and item.name.startswith(
        ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation")
    ):
        return item.for_types_only or FLOORS[module.top] >= SDK_FLOOR
    if item.root == "phonenumbers" and module.top == "directory":
        return item.in_function  # one function: reading a directory must not load its tables
    if item.root == "opentelemetry" and module.top == "guard":
        return item.in_function  # a counter, made when something is first swallowed
    return item.root in ANYWHERE or module.top in CONFINED.get(item.root, frozenset())


@every_module
def test_module_is_small(module: Module) -> None:
    """A module has at most 400 lines."""
    assert len(module.text.splitlines()) <= MAX_MODULE_LINES


@every_module
def test_functions_are_small(module: Module) -> None:
    """A function has at most 40 lines, its docstring included and its decorators not."""
    wrong = [
        f"line {node.lineno}: {node.name} has {_lines(node)} lines"
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and _lines(node) > MAX_FUNCTION_LINES
    ]
    assert not wrong, f"{module}: {wrong}"


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


@every_module
def test_no_global_statement(module: Module) -> None:
    """Nobody rebinds a module's name from inside a function."""
    found = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Global)]
    assert not found, f"{module}: `global` on lines {found}"


OUR_NAMES = conventions.ATTRIBUTES.keys() | {metric.name for metric in conventions.METRICS}
LOOKS_LIKE_OURS = re.compile(r"(trunk|rtp|webrtc|pstn)\.[a-z0-9_.]*")


@every_module
def test_attribute_keys_are_spelled_once(module: Module) -> None:
    """An attribute key or metric name of ours stands in `conventions.py` and nowhere else."""
    if module.parts == ("trunktrace", "conventions"):
        return
    prose = _docstrings(module.tree)
    wrong = [
        f"line {node.lineno}: {node.value!r}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node not in prose
        and (node.value in OUR_NAMES or LOOKS_LIKE_OURS.fullmatch(node.value))
    ]
    assert not wrong, f"{module}: {wrong}"


def _docstrings(tree: ast.Module) -> set[ast.Constant]:
    """String constants that stand alone as a statement: docstrings of any kind."""
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def test_no_public_name_is_a_module() -> None:
    """With every submodule imported, no name in `__all__` turns out to be a module."""
    for found in pkgutil.walk_packages(trunktrace.__path__, "trunktrace.", onerror=_raise):
        if not found.name.endswith(".__main__"):
            importlib.import_module(found.name)
    shadowed = [
        name
        for name in trunktrace.__all__
        if isinstance(getattr(trunktrace, name), types.ModuleType)
    ]
    assert not shadowed


def _raise(name: str) -> None:
    raise ImportError(f"cannot import {name}")
