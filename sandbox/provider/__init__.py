"""The sandbox's providers, one process: `kubernetes` works on a real API server, `random` is a stand-in.

Whatever has no rule here is refused with one sentence; nothing is invented.
"""
