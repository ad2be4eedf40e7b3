"""What every block of the schema shares."""

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

# A name becomes part of Kubernetes object names ("triton-<model>-frontend-…", 63 characters at most) and labels.
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")

HOST = re.compile(r"([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a name; use 1 to 40 lower-case letters, digits and '-', "
            "starting and ending with a letter or digit"
        )
    return value


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError(f"{value!r} is not a network; write it as 203.0.113.0/24, without host bits") from None


def _host(value: str) -> str:
    if not HOST.fullmatch(value) or len(value) > 253:
        raise ValueError(f"{value!r} is not a host name; write it as llm.example.com")
    return value


Host = Annotated[str, AfterValidator(_host)]
Name = Annotated[str, AfterValidator(_name)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")]
# Kubernetes' minor version, as the clouds name it.
KubernetesVersion = Annotated[str, Field(pattern=r"^1\.\d{2}$")]


class Model(BaseModel):
    """Shared behaviour of every settings block: frozen, camelCase keys, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=False, protected_namespaces=()
    )
