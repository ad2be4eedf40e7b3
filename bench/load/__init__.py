"""The load generator: a process of its own, pinned to one processor, cheap enough never to be the bottleneck."""
