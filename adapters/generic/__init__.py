"""Any exchange that ccxt knows, by its unified calls alone and with the most cautious facts there are: `ccxt:<id>`."""
