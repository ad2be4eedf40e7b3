"""The Pulumi CLI with the sandbox attached: provider process, language host, backend, passphrase, project."""
