"""The real Pulumi engine, our host and providers, and a real API server; no node."""
