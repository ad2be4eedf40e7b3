"""The Pulumi engine's language host for Python, on the SDK's public API."""
