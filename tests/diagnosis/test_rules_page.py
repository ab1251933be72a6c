"""The reference page of the rules is what the code says."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from trunktrace import diagnosis
from trunktrace.diagnosis.rules import MODE_OF, RULES
from trunktrace.diagnosis.thresholds import Thresholds

ROOT = Path(__file__).parents[2]


def test_the_page_is_up_to_date():
    """What the generator would write now."""
    script = ROOT / "scripts" / "gen_rules.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_rule_of_the_code_is_in_the_table_and_the_other_way_round():
    """A rule id that stands in a module of the diagnosis is explained, and none is idle."""
    folder = Path(diagnosis.__file__).parent
    said = {
        node.value
        for module in folder.glob("*.py")
        if module.name != "rules.py"
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    ids = {text for text in said if text[:4] in {"CSF-", "OWA-", "FOL-", "MED-", "MIS-", "REC-"}}
    assert ids == set(MODE_OF)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_the_thresholds_that_a_rule_names_exist(rule):
    """`table.key`, or `table.*`."""
    limits = Thresholds.default()
    for name in rule.thresholds:
        table, _, key = name.partition(".")
        assert key == "*" or hasattr(getattr(limits, table), key), name
