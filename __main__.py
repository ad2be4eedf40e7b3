"""The Pulumi program: read the stack's settings once, build its targets."""

from stacks.settings import load
from stacks.targets import build

build(load())
