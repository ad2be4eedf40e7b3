"""Where in AWS a stack lives: account, region, names. Every AWS component takes one."""

from dataclasses import dataclass

import pulumi

from components.naming import Naming


@dataclass(frozen=True, kw_only=True)
class AwsScope:
    """One account's region, and the stack's names in it."""

    naming: Naming
    region: str
    account: pulumi.Input[str]

    @property
    def partition(self) -> str:
        """The ARNs' second word: China and GovCloud have their own."""
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(self.region.rsplit("-", 2)[0], "aws")

    def arn(self, service: str, resource: pulumi.Input[str]) -> pulumi.Output[str]:
        """The ARN of one thing in this account and region."""
        return pulumi.Output.concat(f"arn:{self.partition}:{service}:{self.region}:", self.account, ":", resource)

    def aws_policy(self, name: str) -> str:
        """The ARN of a policy that AWS itself keeps, e.g. `AmazonEKS_CNI_Policy`."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"
