"""Ceilings and networks that a stack keeps to, checked at every preview and before every change."""

from pydantic import Field

from stacks.schema.base import Cidr, Model


class Guards(Model):
    """Ceilings and networks that a stack keeps to."""

    max_gpus: int = Field(default=64, ge=0)  # GPUs of all node groups at their largest; a preview beyond it fails
    # USD a month at list prices (policy/data/prices.yaml), all node groups at their largest; none: no ceiling
    max_monthly_cost: int | None = Field(default=None, ge=1)
    # networks that are connected to this one (on premises, peered); the stack's own may not overlap them
    reserved_cidrs: tuple[Cidr, ...] = ()
    # Ask AWS, before a change, whether its quotas cover the GPU node groups; the credentials need the right
    # servicequotas:GetServiceQuota. A smallest size beyond a quota is refused, a largest size beyond it is a warning.
    check_quotas: bool = False
