"""Binance spot: facts, codes, wire formats, requests (all pure), and the class that asks the venue."""
