"""What is said and what is true of a call: carriers, the conversation, the truth of one run.

Attribute names and shapes are those of real calls (livekit-sip with two carriers); carriers,
numbers and ids are invented. Numbers lie in ranges kept free for fiction.
"""

from __future__ import annotations

import itertools
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Carrier:
    """One trunk as the operator knows it, and what its calls look like at LiveKit."""

    name: str
    trunk_id: str
    rule_id: str
    route: str
    region: str
    hostname: str
    headers: Mapping[str, str] = field(default_factory=dict)
    provider_attributes: tuple[str, ...] = ()
    codec: str = "pcmu"


TWILIO = Carrier(
    name="twilio",
    trunk_id="ST_a8xTwilioUs1",
    rule_id="SDR_q1Support0001",
    route="us-east/primary",
    region="us1",
    hostname="acme.pstn.twilio.com",
    headers={"X-Twilio-CallSid": "CA0123456789abcdef0123456789abcdef"},
    provider_attributes=("sip.twilio.callSid", "sip.twilio.accountSid"),
)
TELNYX = Carrier(
    name="telnyx",
    trunk_id="ST_b7xTelnyxEu1",
    rule_id="SDR_q1Support0002",
    route="eu-west/primary",
    region="eu-west-1",
    hostname="sip.telnyx.com",
    headers={"X-Route": "lcr-7"},
    provider_attributes=("sip.telnyx.callLegID", "sip.telnyx.callSessionID"),
    codec="pcma",
)
LOCAL = Carrier(
    name="carrier-a",
    trunk_id="ST_c6xCarrierA1",
    rule_id="SDR_q1Support0003",
    route="lcr-9",
    region="us-west",
    hostname="sbc.carrier-a.example",
    headers={"X-Carrier": "carrier-a", "X-Route": "lcr-9"},
    codec="g722",
)
CARRIERS = (TWILIO, TELNYX, LOCAL)


def directory_toml() -> str:
    """The operator's directory of these carriers: one row for each trunk id."""
    rows = (
        f'[trunks.{one.trunk_id}]\ncarrier = "{one.name}"\n'
        f'route = "{one.route}"\nregion = "{one.region}"\n'
        for one in CARRIERS
    )
    return 'default_country = "US"\n\n' + "\n".join(rows)


@dataclass(frozen=True, slots=True)
class Turn:
    """What the caller says and what the agent answers.

    `order` makes the agent look that order up with a tool first. `interrupts`: the caller
    starts while the agent still answers the turn before.
    """

    says: str
    answer: str
    order: str | None = None
    interrupts: bool = False


GREETING = "Acme orders, good day."
CONVERSATION = (
    Turn("Hello, where is my order?", "What is its number?"),
    Turn(
        "It is four two four two.",
        "Order four two four two left our warehouse this morning, it is on the van of the driver "
        "of your district, and it will be with you before noon.",
        order="4242",
    ),
    Turn("Stop, I am not at home today.", "Then we come on Friday.", interrupts=True),
)

_numbers = itertools.count(100)


@dataclass(slots=True)
class TurnTimes:
    """When one turn happened, unix seconds; None for what did not happen."""

    says: str
    started: float
    ended: float
    answered: float | None = None
    """The first agent audio of the answer that the caller heard."""
    finished: float | None = None
    """The agent was listening again."""


@dataclass(slots=True)
class CallTruth:
    """Everything that is true of one call, as the far end knows it."""

    carrier: Carrier
    direction: str
    room: str
    caller_number: str
    callee_number: str
    livekit_call_id: str
    sip_call_id: str
    call_tag: str
    attributes: dict[str, str]
    """The attributes at the moment of joining."""
    job: dict[str, object] = field(default_factory=dict)
    """What the job's metadata tells the agent, see `Job` in agent_app.py."""
    trace_id: str | None = None
    """32 hex, as the agent's program saw it; None when no job started."""
    job_pid: int | None = None
    asked: float | None = None
    """When the far end began: its INVITE, so to speak."""
    joined: float | None = None
    answered: float | None = None
    hung_up: float | None = None
    status_code: int | None = None
    attempts: list[str] = field(default_factory=list)
    """Trunk id and result of each outbound attempt: `ST_...:503`."""
    turns: list[TurnTimes] = field(default_factory=list)
    dtmf: list[str] = field(default_factory=list)
    header_requests: list[str] = field(default_factory=list)
    """Payload of each GetRemoteHeaders request that the agent sent."""
    agent_states: list[tuple[float, str]] = field(default_factory=list)
    greeting_heard: float | None = None

    @property
    def signalling_numbers(self) -> tuple[str, str]:
        """The two numbers as they came, which no exported byte may hold."""
        return self.caller_number, self.callee_number

    @property
    def remote(self) -> str:
        """The number of the far end."""
        return self.caller_number if self.direction == "inbound" else self.callee_number

    @property
    def identity(self) -> str:
        """The participant's identity as LiveKit makes it: with the number in it."""
        return f"sip_{self.remote}"

    @property
    def headers(self) -> dict[str, str]:
        """What GetRemoteHeaders answers: INVITE (or 200) headers without the transport's own."""
        local = self.callee_number if self.direction == "inbound" else self.caller_number
        host = self.carrier.hostname
        return {
            "Call-ID": self.sip_call_id,
            "Contact": f"<sip:{self.remote}@127.0.0.1:5086>",
            "From": f'"Caller" <sip:{self.remote}@{host}>;tag={self.call_tag}',
            "P-Asserted-Identity": f"<sip:{self.remote}@{host}>",
            "To": f"<sip:{local}@127.0.0.1:5070>;tag={self.livekit_call_id}",
            "User-Agent": f"{self.carrier.name}-SBC/3.1",
            **self.carrier.headers,
        }


def inbound(carrier: Carrier, extra_attributes: Mapping[str, str] | None = None) -> CallTruth:
    """A new call from the PSTN over `carrier`: own numbers, own ids, own room."""
    truth = _call(carrier, "inbound")
    truth.attributes = {
        **_common_attributes(truth),
        "sip.ruleID": carrier.rule_id,
        "sip.callIDFull": truth.sip_call_id,
        "sip.callTag": truth.call_tag,
        "sip.hostname": carrier.hostname,
        "sip.callStatus": "ringing",
        **{name: f"prov-{secrets.token_hex(8)}" for name in carrier.provider_attributes},
        **(extra_attributes or {}),
    }
    return truth


def outbound(carrier: Carrier) -> CallTruth:
    """A new call to the PSTN; `attributes` are those of the leg when it starts to dial."""
    truth = _call(carrier, "outbound")
    truth.attributes = outbound_attributes(truth, carrier)
    return truth


def outbound_attributes(truth: CallTruth, carrier: Carrier) -> dict[str, str]:
    """The dialling leg's attributes over `carrier`: no rule id, and no Call-ID before the 200."""
    return {
        **_common_attributes(truth),
        "sip.trunkID": carrier.trunk_id,
        "sip.callID": _livekit_call_id(),
        "sip.hostname": f"{carrier.hostname}:5060",
        "sip.callStatus": "dialing",
    }


def _common_attributes(truth: CallTruth) -> dict[str, str]:
    ours = truth.callee_number if truth.direction == "inbound" else truth.caller_number
    return {
        "sip.callID": truth.livekit_call_id,
        "sip.trunkID": truth.carrier.trunk_id,
        "sip.phoneNumber": truth.remote,
        "sip.trunkPhoneNumber": ours,
    }


def _call(carrier: Carrier, direction: str) -> CallTruth:
    number = next(_numbers)
    truth = CallTruth(
        carrier=carrier,
        direction=direction,
        room="",
        caller_number=f"+1202555{number % 100 + 100:04d}",
        callee_number=f"+1303555{number // 100 % 100 + 100:04d}",
        livekit_call_id=_livekit_call_id(),
        sip_call_id=f"{secrets.token_hex(6)}@{carrier.hostname}",
        call_tag=secrets.token_hex(4),
        attributes={},
    )
    # Rooms of individual dispatch rules are named like this, with the number in it.
    truth.room = f"call-_{truth.remote}_{_word(12)}"
    return truth


def _livekit_call_id() -> str:
    return f"SCL_{_word(12)}"


def _word(length: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
