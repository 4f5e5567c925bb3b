"""A simulated Binance spot venue in a process of its own: the true protocol on loopback, as unkind as the venue.

`matching`, `ledger`, `exchange`, `faults`, `payloads` and `liquidity` are pure; `server`, `rest`, `stream` and `audit`
are the thin shell over them. `python -m adapters.simulated` starts one, `process.SimulatedVenue` starts it from Python.
"""
