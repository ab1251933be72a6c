"""What three systems wrote about one outbound call, leg by leg.

The records are of a real call through Kamailio and rtpengine, on which 5.4 % of the packets from
the agent's side were dropped on purpose. Run it: `python main.py`. The same, judged:
`trunktrace diagnose records --bridge 192.0.2.101`.
"""

from pathlib import Path

from trunktrace.sources import Bridge, Reading, source_named

RECORDS = Path(__file__).parent / "records"
FILES = {"kamailio.log": "kamailio-acc", "ng.jsonl": "rtpengine", "hep-rtcp.hex": "hep"}

# The records call the LiveKit SIP bridge by its address; so the call is an outbound one.
READING = Reading(bridge=Bridge(frozenset({"192.0.2.101"})))


def main() -> None:
    """Print one line for each leg, and one for each loss of the whole call."""
    for name, source in FILES.items():
        parsed = source_named(source).parse((RECORDS / name).read_bytes(), READING)
        for told in parsed.observations:
            facts = ", ".join(
                f"{key}={told.facts[key]}"
                for key in ("trunk.carrier", "sip.response.status_code", "rtp.codec")
                if key in told.facts
            )
            print(f"{source:12} {told.leg:5} {facts}")
            for window in told.windows:
                if window.loss_ratio is not None and window.duration_s > 30:
                    print(
                        f"{'':18} {window.direction:3} {window.loss_ratio:6.2%} lost "
                        f"({window.loss_method})"
                    )
        for broken in parsed.broken:
            print(f"{name}:{broken.line}: {broken.reason}")


if __name__ == "__main__":
    main()
