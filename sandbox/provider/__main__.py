"""`python -m sandbox.provider`: serve until ended; prints the value of PULUMI_DEBUG_PROVIDERS."""

from sandbox.provider.server import Servers

if __name__ == "__main__":
    servers = Servers()
    print(servers.environment(), flush=True)
    servers.wait()
