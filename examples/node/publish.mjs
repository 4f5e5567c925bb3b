// Publishes one limit order: node publish.mjs SIGNAL_ID SIDE QUANTITY PRICE
// Amounts are texts, never numbers; the same signal id makes the same order, however often this runs.
import { account, connect, key } from "./connect.mjs";

const [signalId, side, quantity, price] = process.argv.slice(2);
const client = await connect();
const entry = await client.xAdd(key("intents"), "*", {
  data: JSON.stringify({
    kind: "place",
    account,
    strategy: "node",
    signal_id: signalId,
    signal_time: process.env.SIGNAL_TIME ?? new Date().toISOString(),
    symbol: "BTC/USDT",
    side,
    type: "limit",
    quantity,
    price,
  }),
});
console.log(entry);
await client.close();
