#!/bin/sh
# Publishes one limit order with nothing but redis-cli: publish.sh SIGNAL_ID SIDE QUANTITY PRICE
# REDIS_CLI says how to reach the server, `redis-cli -s .fillonce/run/valkey.sock` for example.
account=${FILLONCE_ACCOUNT:-binance.main}
${REDIS_CLI:-redis-cli} XADD "fillonce:{$account}:intents" '*' data "{\"kind\":\"place\",\"account\":\"$account\",\"strategy\":\"shell\",\"signal_id\":\"$1\",\"signal_time\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"symbol\":\"BTC/USDT\",\"side\":\"$2\",\"type\":\"limit\",\"quantity\":\"$3\",\"price\":\"$4\"}"
