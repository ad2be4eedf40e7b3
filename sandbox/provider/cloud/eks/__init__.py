"""The `eks` package: its `Cluster` component, with the children that pulumi-eks 4.4.0 registers (component.py)."""
