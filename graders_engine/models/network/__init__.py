"""The way to an endpoint: through which proxy, and with TLS or without."""
