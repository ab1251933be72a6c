"""`trunktrace parse`: names, exit codes, standard input, options."""

from __future__ import annotations

import pytest

from behaviour.b.console import run, run_apart

from .shelf import HOME, NUMBER

NAMES = [
    "livekit-sip",
    "livekit-webhook",
    "livekit-participant",
    "asterisk-ami",
    "asterisk-cdr",
    "asterisk-ari",
    "asterisk-qos",
    "freeswitch-cdr",
    "freeswitch-esl",
    "kamailio-acc",
    "kamailio-acc-json",
    "opensips-acc",
    "hep",
    "rtpengine",
    "vq-rtcpxr",
    "rtcp-xr",
    "twilio-status",
    "twilio-summary",
    "twilio-metrics",
    "twilio-events",
    "telnyx",
    "telnyx-texml",
    "plivo",
    "vonage",
    "signalwire",
    "radius",
    "sbc-csv",
]


def test_every_source_of_the_contract_is_listed():
    """Each name once, with what it takes."""
    ran = run("parse", "--list")
    assert ran.code == 0
    listed = [line.split()[0] for line in ran.out.splitlines() if line.strip()]
    assert set(NAMES) <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    "wrong,near",
    [
        ("asterisk-ammi", "asterisk-ami"),
        ("freeswitch-crd", "freeswitch-cdr"),
        ("Twilio-Sumary", "twilio-summary"),
        ("rtpengin", "rtpengine"),
        ("vqrtcpxr", "vq-rtcpxr"),
        ("kamailio_acc", "kamailio-acc"),
        ("sbccsv", "sbc-csv"),
        ("HEP", "hep"),
    ],
)
def test_an_unknown_source_is_64_with_the_close_match(wrong, near, tmp_path):
    """The name that was meant is said."""
    file = tmp_path / "x"
    file.write_bytes(b"")
    ran = run("parse", wrong, file)
    assert ran.code == 64
    assert near in ran.err
    assert ran.out.strip() == ""


@pytest.mark.parametrize("source", NAMES)
def test_a_missing_file_is_66(source, tmp_path):
    """No traceback, nothing on standard output."""
    ran = run("parse", source, tmp_path / "none")
    assert ran.code == 66
    assert "Traceback" not in ran.err
    assert ran.err.strip()
    assert run("parse", source, tmp_path).code == 66, "a folder cannot be read either"


PIPED = [
    ("asterisk-ami", "asterisk/01-clean/ami.txt"),
    ("rtpengine", "rtpengine/02-loss5-caller-to-proxy/ng-delete.bencode"),
    ("hep", "kamailio/01-clean/hep-sip.hex"),
    ("plivo", "plivo/hangup-completed.form"),
]


@pytest.mark.parametrize("source,name", PIPED)
def test_standard_input_gives_what_the_file_gives(source, name):
    """`-`, in a process of its own."""
    data = (HOME / name).read_bytes()
    piped = run_apart("parse", source, "-", stdin=data)
    assert (piped.code, piped.err) == (0, "")
    assert piped.json == run("parse", source, HOME / name).json
    assert not NUMBER.search(piped.out)


def test_a_broken_record_on_standard_input_is_named():
    """65, and a place that a person can read."""
    ran = run_apart("parse", "hep", "-", stdin=b"48455033zz+15555550199\n")
    assert ran.code == 65
    assert ran.json == []
    assert not NUMBER.search(ran.err)
    assert ":1: " in ran.err


@pytest.mark.parametrize(
    "options,code",
    [
        (("--bridge-end", "left"), 78),
        (("--timezone", "Mars/Base"), 78),
        (("--columns", "/nowhere.toml"), {66, 78}),
    ],
)
def test_wrong_settings_are_78(options, code):
    """Said with what would be right."""
    file = HOME / "asterisk/01-clean/Master.csv"
    source = "sbc-csv" if "--columns" in options else "asterisk-cdr"
    ran = run("parse", source, file, *options)
    assert ran.code in (code if isinstance(code, set) else {code, 2, 64})
    assert "Traceback" not in ran.err
    assert not NUMBER.search(ran.err + ran.out)


def test_bridge_may_be_given_more_than_once():
    """The second name is found as well."""
    ran = run(
        "parse",
        "asterisk-ami",
        HOME / "asterisk/01-clean/ami.txt",
        "--bridge",
        "other",
        "--bridge",
        "carrier-in",
    )
    assert ran.code == 0
    assert {each["facts"]["sip.call.direction"] for each in ran.json} == {"outbound"}


@pytest.mark.parametrize("end", ["caller", "callee"])
def test_a_name_wins_over_an_end(end):
    """`--bridge` finds the bridge in each call; `--bridge-end` is for records of one direction."""
    ran = run(
        "parse",
        "asterisk-ami",
        HOME / "asterisk/01-clean/ami.txt",
        "--bridge",
        "acme-east",
        "--bridge-end",
        end,
    )
    assert {each["facts"]["sip.call.direction"] for each in ran.json} == {"inbound"}
