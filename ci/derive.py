"""An ephemeral stack's file, from the checked-in one of its target: the same platform, as small as it serves.

What only one stack can own is left out: host name, DNS zone, certificate, given API keys, reserved machines (spot ones
instead), and every secret. Names inside the clouds come from `components/naming.py`, by the stack's own name.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import yaml
from pydantic import BaseModel

from stacks import stackfile
from stacks.machines import AWS, GCP
from stacks.schema.eks import Eks
from stacks.schema.gke import Gke

NAME = re.compile(r"[a-z](-?[a-z0-9]){2,19}")
LONGEST_NAME = 20
TARGETS = ("eks", "gke", "local")
TTL = re.compile(r"(\d{1,3})(m|h|d)")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
LONGEST = timedelta(days=14)
# The groups of nodes of each cloud's target: (the block, its groups, a group's machine type, the machines).
GROUPS = {"eks": ("nodeGroups", "instanceType", AWS), "gke": ("nodePools", "machineType", GCP)}
BLOCKS: dict[str, type[BaseModel]] = {"eks": Eks, "gke": Gke}
RESERVED = ("reservation", "capacity-block")
MAX_MONTHLY_COST = 50_000  # USD a month, should it be left running for one; its GPUs are the models' own


class EphemeralError(Exception):
    """An ephemeral stack cannot be made; the text says why and what to do."""


def check_name(name: str) -> None:
    """Raises EphemeralError for a name that a stack, a tag or a cloud would not take, or that is somebody's."""
    if not NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise EphemeralError(
            f"NAME={name!r} is no name for an ephemeral stack: use 3 to 20 small letters, digits and single hyphens, "
            "a letter first, such as pr-123."
        )
    if name in stackfile.names() and not config_of(name).get("llmops:ephemeral"):
        raise EphemeralError(f"NAME={name!r} is a stack that is not ephemeral; use another name, such as pr-123.")


def lifetime(ttl: str) -> timedelta:
    """A time such as 8h, 90m or 2d. Raises EphemeralError."""
    found = TTL.fullmatch(ttl)
    length = timedelta(**{UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < length <= LONGEST:
        raise EphemeralError(f"TTL={ttl!r} is no time to live: use minutes, hours or days up to 14d, such as 8h.")
    return length


def stamp(moment: datetime) -> str:
    """A moment as it stands in tags: 2026-11-25T08:00:00Z, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def source_of(target: str) -> str:
    """The checked-in stack that has this target. Raises EphemeralError."""
    if target not in TARGETS:
        raise EphemeralError(
            f"TARGET={target!r} cannot be made and lost: use {' or '.join(TARGETS)} "
            "(an existing cluster such as dgx is shared by everybody who names it)."
        )
    for stack in stackfile.names():
        config = config_of(stack)
        if target in (config.get("llmops:targets") or []) and not config.get("llmops:ephemeral"):
            return stack
    raise EphemeralError(f"TARGET={target!r} is in no Pulumi.<stack>.yaml; add one to derive from.")


def config_of(stack: str) -> dict[str, Any]:
    """The configuration in a stack's file, as it stands there."""
    content = yaml.safe_load(stackfile.path(stack).read_text())
    return cast("dict[str, Any]", (content or {}).get("config") or {})


def derive(config: dict[str, Any], target: str, expires: str) -> dict[str, Any]:
    """The configuration of an ephemeral stack of `target`, from that of the target's own stack."""
    small = {key: value for key, value in config.items() if not _secret(value)}
    small["llmops:targets"] = [target]
    small["llmops:ephemeral"] = True
    for other in {"eks", "gke", "dgx"} - {target}:
        small.pop(f"llmops:{other}", None)
    for key in ("llmops:apiKeys", "llmops:tlsCertificate", "llmops:tlsKey", "llmops:keys"):
        small.pop(key, None)
    gateway = _map(small.get("llmops:gateway"))
    small["llmops:gateway"] = {
        **{key: value for key, value in gateway.items() if key not in ("hostname", "dnsZone", "tls", "jwt")},
        "replicas": 1,
        **({} if target == "local" else {"internal": True}),
    }
    small["llmops:models"] = [{**_map(m), "replicas": 1} for m in small.get("llmops:models") or []]
    if target in GROUPS:
        block = _smaller(target, _map(small.get(f"llmops:{target}")), small["llmops:models"])
        for key in ("tags", "labels"):  # so that the end also stands on everything in the cloud
            if key in BLOCKS[target].model_fields:
                block[key] = {**_map(block.get(key)), "llmops-expires": expires}
        small[f"llmops:{target}"] = block
        small["llmops:guards"] = {**_map(small.get("llmops:guards")), "maxMonthlyCost": MAX_MONTHLY_COST}
    return small


def text(config: dict[str, Any], name: str, source: str, secrets: dict[str, str]) -> str:
    """The file's text. `secrets`: the lines of the source that say how secrets are kept (secretsprovider, …)."""
    head = (
        f"# Ephemeral: `make ephemeral NAME={name}` derived it from Pulumi.{source}.yaml, and "
        f"`make ephemeral-down NAME={name}` removes it.\n"
    )
    return head + yaml.safe_dump({**secrets, "config": config}, sort_keys=False)


def secrets_of(stack: str) -> dict[str, str]:
    """How a stack's file says that secrets are kept."""
    content = yaml.safe_load(stackfile.path(stack).read_text()) or {}
    return {key: content[key] for key in ("secretsprovider", "encryptedkey", "encryptionsalt") if key in content}


def _smaller(target: str, block: dict[str, Any], models: list[dict[str, Any]]) -> dict[str, Any]:
    """The cluster with the fewest nodes that still serve one replica of each model."""
    groups_key, machine_key, machines = GROUPS[target]
    groups: list[dict[str, Any]] = []
    for group in block.get(groups_key) or []:
        machine = machines.get(str(group.get(machine_key)))
        wanted = sum(_gpus(m) for m in models if m.get("pool") == group.get("name"))
        needed = max(1, -(-wanted // machine.gpus)) if machine and machine.gpus else 1
        small = {**group, "min": 0, "max": min(needed, int(group.get("max", needed)))}
        if small.get("capacity") in RESERVED:  # the reservation is the production stack's
            small = {key: value for key, value in small.items() if key not in ("reservationId", "reservation")}
            small["capacity"] = "spot"
        groups.append(small)
    system = {**_map(block.get("systemNodes")), "min": 1, "max": 2}
    return {**block, groups_key: groups, "systemNodes": system, **({"nat": "single"} if target == "eks" else {})}


def _gpus(model: dict[str, Any]) -> int:
    spread = _map(model.get("parallelism"))
    return int(spread.get("tensor", 1)) * int(spread.get("pipeline", 1))


def _map(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", dict(value)) if isinstance(value, dict) else {}


def _secret(value: Any) -> bool:
    """Whether a value holds a secret anywhere: `secure: …` is encrypted for its own stack."""
    if isinstance(value, dict):
        return "secure" in value or any(map(_secret, cast("dict[str, Any]", value).values()))
    return isinstance(value, list) and any(map(_secret, cast("list[Any]", value)))
