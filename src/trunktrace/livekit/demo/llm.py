"""A language model that knows the script: it looks up, then answers, as the turn says."""

# pyright: reportUnknownMemberType=false
# (livekit-agents leaves the type arguments of its own signatures open)

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, NotGivenOr, llm
from livekit.agents.types import NOT_GIVEN

from trunktrace.livekit.demo.conversation import Turn

_FIRST_TOKEN_AFTER = 0.03
TOOL = "find_appointment"
"""The agent's one tool, which the model calls by name."""


class ScriptedLLM(llm.LLM[str]):
    """Answers what was heard with the reply of that turn; needs no model."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        super().__init__()
        self._turns = {turn.heard: turn for turn in turns}

    @property
    def model(self) -> str:
        return "scripted-mind"

    @property
    def provider(self) -> str:
        return "trunktrace-demo"

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, Any]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return _ScriptedAnswer(
            self,
            delta=self._answer(chat_ctx),
            chat_ctx=chat_ctx,
            tools=tools or [],
            conn_options=conn_options,
        )

    def _answer(self, chat_ctx: llm.ChatContext) -> llm.ChoiceDelta:
        heard, looked_up = "", False
        for item in chat_ctx.items:
            if item.type == "message" and item.role == "user":
                heard, looked_up = item.text_content or "", False
            elif item.type == "function_call_output":
                looked_up = True
        turn = self._turns.get(heard)
        if turn is None:
            return llm.ChoiceDelta(role="assistant", content="Sorry, could you say that again?")
        if turn.looks_up is None or looked_up:
            return llm.ChoiceDelta(role="assistant", content=turn.reply)
        call = llm.FunctionToolCall(
            name=TOOL, arguments=json.dumps({"day": turn.looks_up}), call_id="look-up"
        )
        return llm.ChoiceDelta(role="assistant", tool_calls=[call])


class _ScriptedAnswer(llm.LLMStream):
    def __init__(
        self,
        model: llm.LLM[str],
        *,
        delta: llm.ChoiceDelta,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._delta = delta

    async def _run(self) -> None:
        await asyncio.sleep(_FIRST_TOKEN_AFTER)
        usage = llm.CompletionUsage(completion_tokens=12, prompt_tokens=40, total_tokens=52)
        self._event_ch.send_nowait(llm.ChatChunk(id="answer", delta=self._delta))
        self._event_ch.send_nowait(llm.ChatChunk(id="answer", usage=usage))
