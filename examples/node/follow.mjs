// Prints every execution of the strategy `node`, each at least once: node follow.mjs [HOW_MANY]
// What was delivered before and never acknowledged comes first, so nothing is lost when this is killed.
import { connect, key } from "./connect.mjs";

const group = "strategy:node", consumer = "only";
let left = Number(process.argv[2] ?? Infinity);
const client = await connect();
await client.xGroupCreate(key("events"), group, "0", { MKSTREAM: true }).catch((error) => {
  if (!String(error).includes("BUSYGROUP")) throw error;
});

let cursor = "0"; // our own pending entries, then ">" for new ones
while (left > 0) {
  const reply = await client.xReadGroup(group, consumer, { key: key("events"), id: cursor }, { COUNT: 100, BLOCK: 500 });
  const messages = reply?.[0]?.messages ?? [];
  if (cursor !== ">") cursor = messages.at(-1)?.id ?? ">";
  for (const { id, message } of messages) {
    if (left <= 0) break; // the rest stays pending, and comes first the next time
    for (const change of JSON.parse(message.data).changes) {
      if (change.kind !== "updated" || change.strategy !== "node") continue;
      for (const fact of change.facts.filter((one) => one.type === "execution")) {
        console.log(JSON.stringify({ event: `${change.id}:${fact.venue_order_id}:${fact.trade_id}`, side: fact.side, quantity: fact.quantity, price: fact.price }));
        left -= 1;
      }
    }
    await client.xAck(key("events"), group, id); // after it was dealt with, not before
  }
}
await client.close();
