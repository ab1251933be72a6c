"""Gives LiveKit a number to answer and says who answers it. Safe to run again."""

import asyncio

from livekit import api

NUMBER = "+15550100000"
NAME = "softphone"


async def main() -> None:
    """Make the inbound trunk and its dispatch rule, unless they are there."""
    async with api.LiveKitAPI() as livekit:  # LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET
        trunks = await livekit.sip.list_inbound_trunk(api.ListSIPInboundTrunkRequest())
        if any(trunk.name == NAME for trunk in trunks.items):
            print(f"{NUMBER} is answered already")
            return
        trunk = await livekit.sip.create_inbound_trunk(
            api.CreateSIPInboundTrunkRequest(
                trunk=api.SIPInboundTrunkInfo(name=NAME, numbers=[NUMBER])
            )
        )
        await livekit.sip.create_dispatch_rule(
            api.CreateSIPDispatchRuleRequest(
                name=NAME,
                trunk_ids=[trunk.sip_trunk_id],
                rule=api.SIPDispatchRule(
                    dispatch_rule_individual=api.SIPDispatchRuleIndividual(room_prefix="call-")
                ),
                # carriers.toml believes these: the caller cannot set them.
                attributes={"carrier.name": "softphone", "carrier.route": "laptop/loopback"},
            )
        )
        print(f"call sip:{NUMBER}@127.0.0.1:5060 (trunk {trunk.sip_trunk_id})")


if __name__ == "__main__":
    asyncio.run(main())
