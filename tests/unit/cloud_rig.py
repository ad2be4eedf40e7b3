"""The cloud stand-in's rules without an engine: resources are checked and made by direct calls."""

import threading
from pathlib import Path
from typing import Any

from sandbox.provider.cloud.provider import CloudProvider
from sandbox.provider.cloud.resources import Session
from sandbox.provider.cloud.store import Store
from sandbox.provider.contract import Changes, Failure, Naming, Task
from sandbox.provider.values import Properties

VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
ROLE = "aws:iam/role:Role"
CLUSTER = "aws:eks/cluster:Cluster"
GROUP = "aws:eks/nodeGroup:NodeGroup"
BUCKET = "aws:s3/bucket:Bucket"
NETWORK = "gcp:compute/network:Network"
TRUST = '{"Version": "2012-10-17", "Statement": []}'


class RefusedError(AssertionError):
    """The inputs were not accepted."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__("; ".join(f"{failure.property}: {failure.reason}" for failure in failures))


class Account:
    """One configured provider over one pretended cloud."""

    def __init__(self, folder: Path, package: str = "aws", **config: Any) -> None:
        defaults = {"aws": {"region": "eu-central-1"}, "gcp": {"project": "proj-1", "region": "europe-west4"}}
        self.store = Store(folder)
        self.provider = CloudProvider(package, self.store)
        self.config: Properties = {**defaults[package], **config}
        self.session = self.configure()
        self.notes: list[str] = []

    def configure(self) -> Session:
        """A session as a new command has it."""
        return self.provider.configure(self.config)

    def task(self, type: str, name: str, *, preview: bool = False) -> Task:
        """One operation of the engine."""
        return Task(
            urn=f"urn:pulumi:dev::test::{type}::{name}",
            type=type,
            name=name,
            status=self.notes.append,
            warn=self.notes.append,
            cancelled=threading.Event(),
            preview=preview,
        )

    def check(self, type: str, name: str, inputs: Properties, olds: Properties | None = None) -> Properties:
        """The checked inputs. Raises RefusedError."""
        rules = self.session.resource_type(type)
        checked, failures = rules.check(self.task(type, name), olds or {}, inputs, Naming())
        if failures:
            raise RefusedError(failures)
        return checked

    def create(self, type: str, name: str, /, **inputs: Any) -> tuple[str, Properties]:
        """(id, outputs) of a new resource."""
        checked = self.check(type, name, inputs)
        return self.session.resource_type(type).create(self.task(type, name), checked)

    def preview(self, type: str, name: str, /, **inputs: Any) -> tuple[str, Properties]:
        """(id, outputs) that a preview of a new resource shows."""
        checked = self.check(type, name, inputs)
        return self.session.resource_type(type).create(self.task(type, name, preview=True), checked)

    def update(self, type: str, name: str, identifier: str, before: Properties, /, **inputs: Any) -> Properties:
        """The outputs after a change of inputs."""
        checked = self.check(type, name, inputs, before)
        return self.session.resource_type(type).update(self.task(type, name), identifier, {}, before, checked)

    def diff(self, type: str, old: Properties, new: Properties) -> Changes:
        """What a change means."""
        return self.session.resource_type(type).diff(self.task(type, "x"), "x", {}, old, new)

    def delete(self, type: str, name: str, identifier: str) -> None:
        """Delete a resource."""
        self.session.resource_type(type).delete(self.task(type, name), identifier, {})

    def network(self, zones: int = 2) -> tuple[str, list[str]]:
        """A VPC and a subnet in each of some zones."""
        vpc, _ = self.create(VPC, "net", cidrBlock="10.0.0.0/16")
        subnets = [
            self.create(SUBNET, f"s{i}", vpcId=vpc, cidrBlock=f"10.0.{i}.0/24", availabilityZone=f"eu-central-1{z}")[0]
            for i, z in enumerate("abc"[:zones])
        ]
        return vpc, subnets

    def cluster(self, name: str = "llm", **more: Any) -> tuple[str, Properties]:
        """An EKS cluster on a network of its own."""
        _, subnets = self.network()
        _, role = self.create(ROLE, "role", assumeRolePolicy=TRUST)
        inputs: Properties = {"name": name, "roleArn": role["arn"], "vpcConfig": {"subnetIds": subnets}, **more}
        return self.create(CLUSTER, "cluster", **inputs)
