// FILLONCE_SOCKET is the embedded server's unix socket (`.fillonce/run/valkey.sock`; `fillonce check` shows it), FILLONCE_REDIS_URL any other server.
import { createClient } from "redis";

export const account = process.env.FILLONCE_ACCOUNT ?? "binance.main";
export const key = (stream) => `fillonce:{${account}}:${stream}`;

export async function connect() {
  const path = process.env.FILLONCE_SOCKET;
  const client = createClient(path ? { socket: { path, tls: false } } : { url: process.env.FILLONCE_REDIS_URL });
  client.on("error", (error) => console.error(String(error)));
  return client.connect();
}
