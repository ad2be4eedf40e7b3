"""The platform's parts: one noun a module, each a Pulumi ComponentResource with one frozen args class."""
