"""`fillonce positions`: what the fills add up to."""

import asyncio
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from consumers.commands import output
from consumers.commands.connecting import chosen_accounts, connected, settings_of
from streams.money import RATIOS
from streams.settings import Settings

# A cost is a product and may have many digits; the exact one is in --json.
SHOWN_STEP: Final = Decimal("0.00000001")


def positions(
    ctx: typer.Context,
    *,
    account: Annotated[str, typer.Option(help="Only this account.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> int:
    """List positions: quantity, average price, earned and paid.

    \b
    Examples:
      fillonce positions
      fillonce positions --account binance.main --json
    """  # noqa: D301 - \b tells the help to keep the lines
    rows = asyncio.run(_rows(settings_of(ctx), account))
    if as_json:
        output.document({"positions": rows})
    elif rows:
        columns = ["account", "symbol", "#quantity", "#average price", "#realized", "fees"]
        output.show(output.table("", columns, [_cells(one) for one in rows]))
    else:
        output.show("No positions.")
    return output.DONE


async def _rows(settings: Settings, account: str) -> list[dict[str, Any]]:
    from streams.keys import AccountKeys
    from streams.store import Store

    rows: list[dict[str, Any]] = []
    async with connected(settings) as redis:
        for name in await chosen_accounts(redis, settings, account):
            for symbol, held in (await Store(redis, AccountKeys(name)).positions()).items():
                average = RATIOS.divide(held.entry_cost, held.quantity) if held.quantity else None
                rows.append(
                    {
                        "account": name, "symbol": symbol, "quantity": held.quantity, "entry_cost": held.entry_cost,
                        "average_price": average, "realized": held.realized, "fees": held.fees,
                    }
                )  # fmt: skip
    return rows


def _cells(one: dict[str, Any]) -> list[object]:
    fees = ", ".join(f"{output.cell_text(amount)} {asset}" for asset, amount in sorted(one["fees"].items()))
    return [one["account"], one["symbol"], one["quantity"], _short(one["average_price"]), _short(one["realized"]), fees]


def _short(amount: Decimal | None) -> Decimal | None:
    # Beyond the step nothing is lost that a person reads; amounts as large as the context keep their digits.
    return amount if amount is None or amount.adjusted() > RATIOS.prec - 10 else amount.quantize(SHOWN_STEP)
