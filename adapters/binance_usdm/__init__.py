"""Binance USDⓈ-M futures: what differs from spot. Facts, codes and requests are pure."""
