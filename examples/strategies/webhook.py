"""A webhook that places orders: the sender's id is the identity, so it may send again whenever it got no answer.

    FILLONCE_REDIS_URL=unix:///path/to/socket ACCOUNT=binance.main WEBHOOK_SECRET=... python webhook.py 8080

    {"id": "breakout-17", "time": "2026-11-23T10:00:00Z", "symbol": "BTC/USDT", "side": "buy", "quantity": "0.01"}

The header `X-Signature` has the HMAC-SHA256 of the body in hexadecimal.
"""

import hmac
import os
import sys
from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec
from aiohttp import web

from streams import BadIntent, FillonceError, IntentConflict, IntentProducer, Place, connect


class Signal(msgspec.Struct, forbid_unknown_fields=True):
    """What is sent; with a price a limit order, else a market order."""

    id: str
    time: datetime
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Decimal
    price: Decimal | None = None


async def receive(request: web.Request) -> web.Response:
    """Answer with the order as it stands: 201 new, 200 known, 409 another under the same id, 503 send it again."""
    body = await request.read()
    signed = hmac.new(request.app[SECRET], body, "sha256").hexdigest()
    # As bytes: texts are only compared where both are ASCII, and the other one may be anything.
    if not hmac.compare_digest(signed.encode(), request.headers.get("X-Signature", "").encode(errors="replace")):
        return web.json_response({"error": "X-Signature does not fit the body"}, status=401)
    try:
        said = msgspec.json.decode(body, type=Signal)
        intent = msgspec.convert(
            {
                "kind": "place", "account": request.app[ACCOUNT], "strategy": "webhook", "signal_id": said.id,
                "signal_time": said.time, "symbol": said.symbol, "side": said.side, "quantity": said.quantity,
                "type": "market" if said.price is None else "limit", "price": said.price,
            },
            Place,
        )  # fmt: skip
        receipt = await request.app[PRODUCER].place(intent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return web.json_response({"error": str(error)}, status=400)
    except IntentConflict as error:
        return web.json_response({"error": str(error)}, status=409)
    except BadIntent as error:
        return web.json_response({"error": str(error)}, status=422)
    except FillonceError as error:  # nothing is known to be written; the same signal again cannot become two orders
        return web.json_response({"error": str(error)}, status=503)
    status = receipt.order.status if receipt.order else ""
    answer = {"client_order_id": receipt.client_order_id, "duplicate": receipt.duplicate, "status": status}
    return web.json_response(answer, status=200 if receipt.duplicate else 201)


def told(name: str) -> str:
    """One of the environment's variables, which must be there: an empty secret would let everybody trade."""
    if not os.environ.get(name):
        sys.exit(f"{name} is not set; see the first lines of {sys.argv[0]}.")
    return os.environ[name]


PRODUCER, SECRET = web.AppKey("producer", IntentProducer), web.AppKey("secret", bytes)
ACCOUNT = web.AppKey("account", str)

if __name__ == "__main__":
    app = web.Application(client_max_size=65_536)
    app[SECRET], app[ACCOUNT] = told("WEBHOOK_SECRET").encode(), told("ACCOUNT")
    app[PRODUCER] = IntentProducer(connect(told("FILLONCE_REDIS_URL"), name="webhook", single=False))
    app.router.add_post("/signals", receive)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]))
