"""What a program registers, kept instead of made."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import pulumi
from pulumi.runtime import mocks


class Recorder(mocks.Mocks):
    """Keeps every registration; fills in the few outputs that the program builds on."""

    def __init__(self) -> None:
        self.resources: list[mocks.MockResourceArgs] = []
        self.protected: set[str] = set()  # names of what `pulumi destroy` refuses to delete

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        outputs = dict(args.inputs)
        if args.typ == "random:index/randomPassword:RandomPassword":
            outputs["result"] = "x" * int(args.inputs["length"])
        if args.typ == "kubernetes:helm.sh/v3:Release":
            outputs["status"] = {"status": "deployed"}
        if args.typ == "kubernetes:core/v1:Service" and args.inputs["spec"].get("type") == "LoadBalancer":
            outputs["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}
        return f"{args.name}-id", outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        raise AssertionError(f"the program called {args.token}")

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of every Kubernetes object of a kind, by name."""
        return {
            r.name: r.inputs for r in self.resources if r.typ.startswith("kubernetes:") and r.typ.endswith(f":{kind}")
        }

    def typed(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of every resource of a type, by name."""
        return {r.name: r.inputs for r in self.resources if r.typ == kind}

    def one(self, kind: str) -> dict[str, Any]:
        """The inputs of the only resource of a type."""
        (inputs,) = self.typed(kind).values()
        return inputs

    @classmethod
    def install(cls, stack: str) -> Self:
        """The recorder that what follows registers with."""
        recorder = cls()
        asyncio.set_event_loop(asyncio.new_event_loop())  # the mocks want one, and other tests close theirs
        mocks.set_mocks(recorder, project="llmops", stack=stack, monitor=_Monitor(recorder))
        return recorder

    @classmethod
    def record(cls, stack: str, program: Callable[[], None]) -> Self:
        """What a program registers, run to its end."""
        recorder = cls.install(stack)
        run(program)
        return recorder


class Amazon(Recorder):
    """Answers as AWS would, as far as the program builds on it."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        identifier, outputs = super().new_resource(args)
        outputs["arn"] = f"arn:aws:{args.typ}:{args.name}"
        match args.typ:
            case "kubernetes:core/v1:Service":
                outputs["status"] = {"loadBalancer": {"ingress": [{"hostname": "gateway.elb.amazonaws.com"}]}}
            case "eks:index:Cluster":
                outputs |= {"kubeconfigJson": "{}", "clusterSecurityGroupId": "sg-cluster"}
            case "aws:eks/nodeGroup:NodeGroup":
                outputs["resources"] = [{"autoscalingGroups": [{"name": f"asg-{args.inputs['nodeGroupName']}"}]}]
            case "aws:ec2/launchTemplate:LaunchTemplate":
                outputs["latestVersion"] = 1
            case "aws:ec2/eip:Eip":
                outputs["allocationId"] = "eipalloc-1"
            case _:
                pass
        return identifier, outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        match args.token:
            case "aws:index/getCallerIdentity:getCallerIdentity":
                return {"accountId": "210987654321"}, []
            case "aws:secretsmanager/getSecretVersion:getSecretVersion":
                return {"secretString": json.dumps({"search": "sk-search", "support-bot": "sk-bot"})}, []
            case "aws:lb/getHostedZoneId:getHostedZoneId":
                return {"id": "Z-NLB"}, []
            case _:
                return super().call(args)

    def of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The inputs of everything whose type ends in `kind`, AWS' own too, by name."""
        return {r.name: r.inputs for r in self.resources if r.typ.rsplit(":", 1)[-1] == kind}


class Google(Recorder):
    """Answers as Google would, as far as the program builds on it."""

    keys = '{"team-a": "sk-a", "team-b": "sk-b"}'

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        identifier, outputs = super().new_resource(args)
        match args.typ:
            case "gcp:container/cluster:Cluster":
                outputs["endpoint"] = "198.51.100.7"
                outputs["masterAuth"] = {"clusterCaCertificate": "Q0E="}
                outputs["controlPlaneEndpointsConfig"] = {
                    "dnsEndpointConfig": {"endpoint": "gke-1.europe-west4.gke.goog"}
                }
            case "gcp:serviceaccount/account:Account":
                outputs["email"] = f"{args.inputs['accountId']}@my-project.iam.gserviceaccount.com"
                outputs["member"] = f"serviceAccount:{outputs['email']}"
            case "gcp:filestore/instance:Instance":
                outputs["networks"] = [{**args.inputs["networks"][0], "ipAddresses": ["10.9.0.2"]}]
            case "gcp:compute/address:Address":
                outputs["address"] = "203.0.113.9"
            case _:
                pass
        return identifier, outputs

    def call(self, args: mocks.MockCallArgs) -> Any:
        if args.token == "gcp:organizations/getProject:getProject":
            return {"projectId": "my-project", "number": "123456789012"}
        if args.token == "gcp:secretmanager/getSecretVersion:getSecretVersion":
            assert (args.args["secret"], args.args["project"]) == ("tenant-keys", "my-project")
            return {"secretData": self.keys}
        return super().call(args)


class _Monitor(mocks.MockMonitor):
    """Sees the options too, which mocks are not told."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__(recorder)
        self._recorder = recorder

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 (gRPC's name)
        if request.protect:
            self._recorder.protected.add(request.name)
        return super().RegisterResource(request)


def run(program: Callable[[], None]) -> None:
    """A program with the recorder that was installed.

    Registrations land asynchronously: this waits for all of them, so an absence can be asserted.
    """
    pulumi.runtime.test(program)()
