"""`sandbox/pulumi`: the Pulumi CLI with the offline half attached."""
