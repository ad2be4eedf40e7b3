"""The `kubernetes` package on a real API server, by its REST API."""
