"""What can go wrong with the cluster, as one sentence for the person at the terminal."""


class ClusterError(Exception):
    """One sentence that names what is wrong and how to fix it."""
