"""The tools for agents that deal with rules. They need a key with the scope `admin`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from clipengine.api.http.access import Object
from clipengine.api.http.requests.rules import ClipOfRule
from clipengine.client import AsyncClient, ClientError
from clipengine.mcp.tool import Arguments, Id, ListArguments, Tool, as_json
from clipengine.rules.rule import MaxClips, RuleConditions, RuleName, RuleRanges


class ListRules(ListArguments):
    rule_id: Id | None = Field(default=None, description="List what this rule has made instead, newest first.")


class RuleOptions(Arguments):
    when: RuleConditions | None = Field(default=None, description="The recordings it acts on. Default: all.")
    ranges: RuleRanges | None = Field(default=None, description="The ranges of a recording of which it makes clips.")
    clip: ClipOfRule | None = Field(default=None, description="The options of its clips.")
    max_clips: MaxClips | None = None

    def options(self) -> dict[str, Any]:
        """Return the options of the rule that are given."""
        given = self.model_dump(include=set(RuleOptions.model_fields), exclude_none=True, exclude_unset=True)
        return given if self.clip is None else given | {"clip": self.clip.given}


class TryRule(RuleOptions):
    recording_id: Id = Field(description="A complete recording.")
    rule_id: Id | None = Field(default=None, description="A stored rule, instead of ranges and other options.")


class CreateRule(RuleOptions):
    name: RuleName = Field(description="Unique among the rules.")
    ranges: RuleRanges


class ChangeRule(Arguments):
    rule_id: Id
    action: Literal["enable", "disable", "delete"] = Field(
        description="Enabling clears the reason for which a rule has stopped. The clips of a deleted rule stay."
    )


async def _list(client: AsyncClient, given: ListRules) -> Any:
    page: Any
    if given.rule_id is None:
        page = await client.rules.list(limit=given.limit, cursor=given.cursor)
    else:
        page = await client.rules.batches(given.rule_id, limit=given.limit, cursor=given.cursor)
    return {"data": [each.raw for each in page.data], "next_cursor": page.next_cursor}


async def _try(client: AsyncClient, given: TryRule) -> Any:
    if (given.rule_id is None) == (given.ranges is None):
        raise ClientError("give either rule_id or ranges")
    if given.rule_id is not None:
        return (await client.rules.try_out(given.rule_id, given.recording_id)).raw
    return (await client.rules.try_new(given.recording_id, **given.options())).raw


async def _create(client: AsyncClient, given: CreateRule) -> Any:
    return (await client.rules.create(given.name, **given.options())).raw


async def _change(client: AsyncClient, given: ChangeRule) -> Any:
    if given.action == "delete":
        await client.rules.delete(given.rule_id)
        return {"deleted": given.rule_id}
    return (await client.rules.update(given.rule_id, enabled=given.action == "enable")).raw


_RULES = Object("rules")

RULE_TOOLS = (
    Tool("list_rules", "List rules and their counts, or what one has made.", ListRules, as_json(_list), _RULES),
    Tool(
        "try_rule",
        "Say which clips a rule would make of a recording, without making them.",
        TryRule,
        as_json(_try),
        _RULES,
    ),
    Tool(
        "create_rule",
        "Make clips of each later recording without a request. Try the rule first.",
        CreateRule,
        as_json(_create),
        _RULES,
        "write",
    ),
    Tool("change_rule", "Enable, disable or delete a rule.", ChangeRule, as_json(_change), _RULES, "write"),
)
