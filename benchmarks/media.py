"""What hearing a call costs: the audio of both directions, and the look at LiveKit's statistics.

    python benchmarks/media.py [--json] [--gate] [--seconds N]

Shares of one core: CPU seconds of this thread for each second of a call, less what the same call
costs with nobody listening, the least of several rounds. LiveKit's own gain control on the same
audio is measured in the same run, as a scale. With `--gate`, exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Final

from _lib.hearing import FRAME_IN_S, FRAME_OUT_S, Heard, gain_control_cost

ROUNDS: Final = 5
BARS: Final = (
    ("both", 0.02, "audio of both directions and the poller, share of a core"),
    ("audio", None, "the audio alone"),
    ("audio_clipped", None, "the audio alone, where much of it is clipped"),
    ("poller", None, "the poller alone"),
    ("audio_over_gain_control", 1.0, "the audio over LiveKit's gain control of one direction"),
)


def measure(seconds: int) -> tuple[dict[str, float], dict[str, float]]:
    """(bars by name, the detail behind them)."""
    kinds = {
        "nothing": {"audio": False, "poller": False},
        "audio": {"audio": True, "poller": False},
        "audio_clipped": {"audio": True, "poller": False, "level": 4.0},
        "poller": {"audio": False, "poller": True},
        "both": {"audio": True, "poller": True},
    }
    cost = dict.fromkeys((*kinds, "gain_control", "in_loop", "in_thread"), float("inf"))
    for number in range(ROUNDS):
        for name, kind in kinds.items():
            heard = Heard(**kind)  # type: ignore[arg-type]
            cost[name] = min(cost[name], asyncio.run(heard.run(seconds)))
            told = heard.end()
            if name != "nothing" and not told:
                raise RuntimeError(f"{name}: the call was told nothing, so nothing was measured")
        cost["gain_control"] = min(cost["gain_control"], gain_control_cost(seconds))
        for name in ("in_loop", "in_thread"):
            heard = Heard(audio=True, poller=False)
            spent = asyncio.run(heard.flush_cost(seconds, in_thread=name == "in_thread"))
            cost[name] = min(cost[name], spent)
            heard.end()
        print(f"  round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
    extra = {name: cost[name] - cost["nothing"] for name in kinds if name != "nothing"}
    extra["audio_over_gain_control"] = extra["audio"] / cost["gain_control"]
    frames = 1 / FRAME_IN_S + 1 / FRAME_OUT_S
    details = {f"{name}_us_a_second": round(value * 1e6, 1) for name, value in cost.items()}
    details["frames_a_second"] = round(frames)
    details["audio_us_a_frame"] = round(extra["audio"] * 1e6 / frames, 2)
    return extra, details


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description="What hearing a call costs, of one core.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--gate", action="store_true", help="exit 1 if a bar is missed")
    parser.add_argument("--seconds", type=int, default=60, help="seconds of a call in each round")
    asked = parser.parse_args()
    values, details = measure(asked.seconds)
    missed = [name for name, gate, _ in BARS if gate is not None and values[name] > gate]
    if asked.json:
        shown = {name: round(values[name], 6) for name, _, _ in BARS}
        print(json.dumps({**shown, "details": details}, indent=2))
    else:
        for name, gate, meaning in BARS:
            limit = "reported" if gate is None else f"<= {gate:g}"
            print(f"{values[name]:9.5f}  {limit:>9}  {meaning} ({name})")
        print(f"a frame of audio costs {details['audio_us_a_frame']} us of CPU")
    for name in missed:
        print(f"missed: {name}", file=sys.stderr)
    return 1 if asked.gate and missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
