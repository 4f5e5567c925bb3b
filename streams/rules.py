"""Rules of an account as its settings name them: what is watched, from when on, and what is done. Pure."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Action = Literal["off", "alert", "reducing", "halted", "halted_and_cancel"]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of them.

    Attributes:
        above: it fires when its figure becomes larger than this, and again after it was not.
        action: what is done then; everything but `off` also alerts.
    """

    above: Annotated[int, Meta(ge=0, le=1_000_000_000)]
    action: Action = "alert"


class Rules(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is watched in one account.

    Attributes:
        unknowns_per_minute: orders of which nobody could tell whether the venue has them.
        refusals_in_a_row: orders the venue refused since it took one.
        position_drifts: positions that the last reconciliation could not explain.
        findings_left: what else it found and nobody has put right: a person decides.
        reconcile_failures: comparisons of venue and records that failed since one succeeded.
        reconcile_age_ms: since venue and records were compared last.
        lookup_failures_per_minute: questions about orders that the venue gave no answer to.
        stream_lost_ms: for how long nobody has heard the private stream whole.
        ledger_lag: entries of `evidence` that are not applied.
        anomalies_per_minute: things the venue said that no order's life explains.
        webhook: where an alert is posted to, as JSON; empty for nowhere.
        command: run at an alert, which it reads as JSON on standard input; empty for none.
    """

    unknowns_per_minute: Rule = Rule(above=30)
    refusals_in_a_row: Rule = Rule(above=20)
    position_drifts: Rule = Rule(above=0)
    findings_left: Rule = Rule(above=0)
    reconcile_failures: Rule = Rule(above=5)
    reconcile_age_ms: Rule = Rule(above=900_000)
    lookup_failures_per_minute: Rule = Rule(above=120)
    stream_lost_ms: Rule = Rule(above=60_000)
    ledger_lag: Rule = Rule(above=10_000)
    anomalies_per_minute: Rule = Rule(above=0)
    webhook: str = ""
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an address that nothing can be posted to; msgspec turns the sentence into a ValidationError."""
        if self.webhook and not self.webhook.startswith(("http://", "https://")):
            raise ValueError("webhook must begin with http:// or https://")

    def by_name(self) -> dict[str, Rule]:
        """Each rule that is on."""
        named = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: one for name, one in named.items() if isinstance(one, Rule) and one.action != "off"}
