"""`python -m sandbox.provider.cloud`: look into the pretended cloud, and disturb it.

list [--all] [--json]            what is there
show TYPE ID                     one object
put BUCKET KEY                   an object in a bucket, so that it is not empty
fail TYPE [--operation OP] [--nth N] [--times N] [--throttle] [--error TEXT]
clear                            forget everything (pretended control planes are not stopped)
"""

import argparse
import json
import sys

from sandbox.provider.cloud.faults import Faults
from sandbox.provider.cloud.store import Object, Store

BUCKETS = ("aws:s3/bucket:Bucket", "gcp:storage/bucket:Bucket")


def main(arguments: list[str]) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.provider.cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="what is there")
    listing.add_argument("--all", action="store_true", help="deleted objects that the cloud keeps, too")
    listing.add_argument("--json", action="store_true")
    shown = commands.add_parser("show", help="one object")
    shown.add_argument("type")
    shown.add_argument("id")
    putting = commands.add_parser("put", help="an object in a bucket")
    putting.add_argument("bucket")
    putting.add_argument("key")
    failing = commands.add_parser("fail", help="make a call to come fail")
    failing.add_argument("type", help="a type token; * for any")
    failing.add_argument("--operation", default="create", choices=("create", "update", "read", "delete"))
    failing.add_argument("--nth", type=int, default=1)
    failing.add_argument("--times", type=int, default=1)
    failing.add_argument("--throttle", action="store_true", help="answered with ThrottlingException, and tried again")
    failing.add_argument("--error", default="")
    commands.add_parser("clear", help="forget everything")
    given = parser.parse_args(arguments)
    store = Store()
    match given.command:
        case "list":
            _list(store.objects(left=given.all), as_json=given.json)
        case "show":
            found = store.read(given.type, given.id)
            if found is None:
                print(f"There is no {given.type} {given.id}.", file=sys.stderr)
                return 1
            print(json.dumps(vars(found), indent=2))
        case "put":
            return _put(store, given.bucket, given.key)
        case "fail":
            fault = {name: getattr(given, name) for name in ("type", "operation", "nth", "times", "throttle", "error")}
            Faults(store).add(fault)
        case _:
            store.clear()
    return 0


def _list(objects: list[Object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([{"type": item.type, "id": item.id, "urn": item.urn, "left": item.left} for item in objects]))
        return
    for item in objects:
        print(f"{item.type}  {item.id}{f'  ({item.left})' if item.left else ''}")
    print(f"{len(objects)} objects in the pretended cloud", file=sys.stderr)


def _put(store: Store, bucket: str, key: str) -> int:
    for type in BUCKETS:
        with store.locked():
            if found := store.get(type, bucket):
                found.contents = sorted({*found.contents, key})
                store.write(found)
                return 0
    print(f"There is no bucket {bucket}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
