"""eks:index:Cluster: the resources that pulumi-eks 4.4.0 registers for it, as far as programs here use it.

The set of children, their names, parents and options are our reading of https://github.com/pulumi/pulumi-eks
(nodejs/eks/cluster/cluster.ts, servicerole.ts, nodes/securitygroup.ts, addons/cni-addon.ts). The real component also
wants an `aws` command on the machine and waits for the API server. What is not read here is refused.
"""

import json
from typing import Any, cast

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from pulumi.provider import CallResult, ConstructResult, Provider

from sandbox.provider.cloud.eks import addons, security
from sandbox.provider.cloud.eks.kubeconfig import kubeconfig
from sandbox.provider.cloud.eks.roles import INSTANCE_POLICIES, ServiceRole

CLUSTER = "eks:index:Cluster"
READ = frozenset(
    {
        "accessEntries",
        "authenticationMode",
        "bootstrapSelfManagedAddons",
        "clusterSecurityGroupTags",
        "clusterTags",
        "corednsAddonOptions",
        "createInstanceRole",
        "createOidcProvider",
        "deletionProtection",
        "enableConfigMapMutable",
        "enabledClusterLogTypes",
        "encryptionConfigKeyArn",
        "endpointPrivateAccess",
        "endpointPublicAccess",
        "ipFamily",
        "kubeProxyAddonOptions",
        "kubernetesServiceIpAddressRange",
        "name",
        "nodeSecurityGroupTags",
        "privateSubnetIds",
        "providerCredentialOpts",
        "publicAccessCidrs",
        "publicSubnetIds",
        "skipDefaultNodeGroup",
        "skipDefaultSecurityGroups",
        "subnetIds",
        "tags",
        "upgradePolicy",
        "useDefaultVpcCni",
        "version",
        "vpcCniOptions",
        "vpcId",
    }
)
# Plain in the real component too: they decide which children there are.
PLAIN = ("accessEntries", "authenticationMode", "corednsAddonOptions", "kubeProxyAddonOptions", "vpcCniOptions")


class Components(Provider):
    """What the SDK's machinery calls."""

    def __init__(self) -> None:
        super().__init__("4.4.0")

    def construct(
        self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        made = Cluster(name, dict(inputs), options)
        return ConstructResult(urn=made.urn, state=made.state)

    def call(self, token: str, args: pulumi.Inputs) -> CallResult:
        raise pulumi.RunError(f"the method {token} has no rule in the stand-in.")


class Cluster(pulumi.ComponentResource):
    """The component; `state` are its outputs."""

    state: dict[str, Any]

    def __init__(self, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(CLUSTER, name, {}, opts)
        check(inputs)
        self._name, self._inputs = name, inputs
        self._child = pulumi.ResourceOptions(parent=self)
        role = ServiceRole(
            f"{name}-eksRole",
            service="eks.amazonaws.com",
            description="Allows EKS to manage clusters on your behalf.",
            policies=("AmazonEKSClusterPolicy",),
            actions=["sts:AssumeRole", "sts:TagSession"],
            tags=inputs.get("tags"),
            opts=self._child,
        )
        group = None
        if not inputs.get("skipDefaultSecurityGroups"):
            group = security.cluster_group(name, inputs, self._child)
        cluster = self._cluster(role, group)
        addons.kube_proxy(name, inputs, cluster, self._child)
        kube = kubeconfig(cluster, inputs.get("providerCredentialOpts"))
        provider = k8s.Provider(
            f"{name}-eks-k8s",
            kubeconfig=kube.apply(json.dumps),
            enable_config_map_mutable=inputs.get("enableConfigMapMutable"),
            opts=self._child,
        )
        instance = self._instance_role() if inputs.get("createInstanceRole") else None
        entries = self._entries(cluster, instance)
        addons.vpc_cni(
            name, inputs, cluster, pulumi.ResourceOptions(parent=self, depends_on=cast("list[Any]", entries))
        )
        addons.coredns(name, inputs, cluster, self._child)
        oidc = self._oidc(cluster) if inputs.get("createOidcProvider") else None
        nodes = security.node_group(name, inputs, group, cluster, self._child) if group is not None else None
        self._outputs(role, cluster, group, nodes, kube, provider, instance, oidc)

    def _cluster(self, role: ServiceRole, group: aws.ec2.SecurityGroup | None) -> aws.eks.Cluster:
        given = self._inputs
        key = given.get("encryptionConfigKeyArn")
        network = {
            "service_ipv4_cidr": given.get("kubernetesServiceIpAddressRange"),
            "ip_family": given.get("ipFamily") or "ipv4",
        }
        tags: Any = pulumi.Output.all(given.get("tags"), given.get("clusterTags")).apply(
            lambda both: {"Name": f"{self._name}-eksCluster", **(both[1] or {}), **(both[0] or {})}
        )
        mode = given["authenticationMode"]
        bootstrap = given.get("bootstrapSelfManagedAddons")
        return aws.eks.Cluster(
            f"{self._name}-eksCluster",
            name=given.get("name"),
            role_arn=role.role.arn,
            kubernetes_network_config=cast(
                "Any", network if given.get("kubernetesServiceIpAddressRange") or given.get("ipFamily") else None
            ),
            bootstrap_self_managed_addons=True if bootstrap is None else bootstrap,
            vpc_config={
                "security_group_ids": [group.id] if group is not None else None,
                "subnet_ids": subnets(given),
                "endpoint_private_access": given.get("endpointPrivateAccess"),
                "endpoint_public_access": given.get("endpointPublicAccess"),
                "public_access_cidrs": given.get("publicAccessCidrs"),
            },
            version=given.get("version"),
            enabled_cluster_log_types=given.get("enabledClusterLogTypes"),
            tags=tags,
            encryption_config=cast("Any", {"provider": {"key_arn": key}, "resources": ["secrets"]} if key else None),
            access_config={"authentication_mode": mode, "bootstrap_cluster_creator_admin_permissions": True},
            upgrade_policy=_upgrade(given.get("upgradePolicy")),
            deletion_protection=given.get("deletionProtection"),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=cast("list[Any]", role.attachments),
                ignore_changes=["accessConfig.bootstrapClusterCreatorAdminPermissions", "bootstrapSelfManagedAddons"],
            ),
        )

    def _instance_role(self) -> ServiceRole:
        made = ServiceRole(
            f"{self._name}-instanceRole",
            service="ec2.amazonaws.com",
            policies=INSTANCE_POLICIES,
            tags=self._inputs.get("tags"),
            opts=self._child,
        )
        aws.iam.InstanceProfile(f"{self._name}-instanceProfile", role=made.role.name, opts=self._child)
        return made

    def _entries(self, cluster: aws.eks.Cluster, instance: ServiceRole | None) -> list[aws.eks.AccessEntry]:
        after = pulumi.ResourceOptions(parent=self, depends_on=[cluster])
        given: dict[str, Any] = self._inputs.get("accessEntries") or {}
        if instance is not None:
            own = {"principalArn": instance.role.arn, "type": "EC2_LINUX"}
            given = {"defaultNodeGroupInstanceRole": own, **given}
        made: list[aws.eks.AccessEntry] = []
        for key, entry in given.items():
            item = aws.eks.AccessEntry(
                f"{self._name}-{key}",
                cluster_name=cluster.name,
                principal_arn=entry["principalArn"],
                kubernetes_groups=entry.get("kubernetesGroups"),
                user_name=entry.get("username"),
                type=entry.get("type"),
                tags=entry.get("tags"),
                opts=after,
            )
            made.append(item)
            for association, policy in (entry.get("accessPolicies") or {}).items():
                scope = policy["accessScope"]
                aws.eks.AccessPolicyAssociation(
                    f"{self._name}-{key}-{association}",
                    access_scope={"type": scope["type"], "namespaces": scope.get("namespaces")},
                    principal_arn=entry["principalArn"],
                    policy_arn=policy["policyArn"],
                    cluster_name=cluster.name,
                    opts=pulumi.ResourceOptions(parent=item, depends_on=[item]),
                )
        return made

    def _oidc(self, cluster: aws.eks.Cluster) -> aws.iam.OpenIdConnectProvider:
        return aws.iam.OpenIdConnectProvider(
            f"{self._name}-oidcProvider",
            client_id_lists=["sts.amazonaws.com"],
            url=_issuer(cluster),
            # The real component asks the issuer for its certificate; AWS has ignored this value for EKS since 2023.
            thumbprint_lists=["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
            opts=self._child,
        )

    def _outputs(
        self,
        role: ServiceRole,
        cluster: aws.eks.Cluster,
        group: aws.ec2.SecurityGroup | None,
        nodes: security.Nodes | None,
        kube: pulumi.Output[Any],
        provider: k8s.Provider,
        instance: ServiceRole | None,
        oidc: aws.iam.OpenIdConnectProvider | None,
    ) -> None:
        own_group = cluster.vpc_config.apply(lambda config: config.cluster_security_group_id or "")
        issuer = _issuer(cluster)
        roles = [instance.role] if instance is not None else []
        self.state = {
            "eksCluster": cluster,
            "kubeconfig": kube,
            "kubeconfigJson": kube.apply(json.dumps),
            "clusterSecurityGroup": group,
            "clusterSecurityGroupId": group.id if group is not None else own_group,
            "nodeSecurityGroup": nodes.group if nodes is not None else None,
            "nodeSecurityGroupId": nodes.group.id if nodes is not None else own_group,
            "eksClusterIngressRule": nodes.cluster_ingress if nodes is not None else None,
            "clusterIngressRuleId": nodes.cluster_ingress.security_group_rule_id if nodes is not None else "",
            "instanceRoles": roles,
            "oidcProviderArn": oidc.arn if oidc is not None else "",
            "oidcProviderUrl": issuer,
            "oidcIssuer": issuer.apply(lambda url: url.removeprefix("https://")),
            "autoModeNodeRoleName": "",
            "defaultNodeGroupAsgName": "",
            "fargateProfileId": "",
            "fargateProfileStatus": "",
            "core": {
                "cluster": cluster,
                "vpcId": self._inputs["vpcId"],
                "subnetIds": subnets(self._inputs),
                "publicSubnetIds": self._inputs.get("publicSubnetIds"),
                "privateSubnetIds": self._inputs.get("privateSubnetIds"),
                "endpoint": cluster.endpoint,
                "clusterSecurityGroup": group,
                "provider": provider,
                "instanceRoles": roles,
                "nodeGroupOptions": {"version": self._inputs.get("version")},
                "kubeconfig": kube,
                "tags": self._inputs.get("tags"),
                "oidcProvider": oidc,
                "clusterIamRole": role.role,
                "autoModeNodeRoleName": "",
            },
        }
        self.register_outputs(self.state)


def check(inputs: dict[str, Any]) -> None:
    """What this reading of the component does not cover. Raises RunError with one sentence."""
    given = {name for name, value in inputs.items() if value is not None}
    if unread := sorted(given - READ):
        raise pulumi.RunError(f"{', '.join(unread)} has no rule in the stand-in's eks.Cluster.")
    for name in PLAIN:
        if isinstance(inputs.get(name), pulumi.Output):
            raise pulumi.RunError(f"{name} must be known when the program runs: it decides which resources there are.")
    if inputs.get("authenticationMode") != "API":
        raise pulumi.RunError(
            "authenticationMode must be API in the stand-in: the other modes' aws-auth ConfigMap is not pretended."
        )
    if not inputs.get("skipDefaultNodeGroup"):
        raise pulumi.RunError(
            "skipDefaultNodeGroup must be true in the stand-in: declare aws.eks.NodeGroup beside the cluster."
        )
    if inputs.get("vpcId") is None:
        raise pulumi.RunError("vpcId must be set in the stand-in: an account's default VPC is not pretended.")
    if inputs.get("subnetIds") is not None and (inputs.get("publicSubnetIds") or inputs.get("privateSubnetIds")):
        raise pulumi.RunError(
            "subnetIds, and the use of publicSubnetIds and/or privateSubnetIds are mutually exclusive."
        )


def subnets(inputs: dict[str, Any]) -> Any:
    """`subnetIds`, or the public and then the private ones."""
    if inputs.get("subnetIds") is not None:
        return inputs["subnetIds"]
    both: Any = pulumi.Output.all(inputs.get("publicSubnetIds") or [], inputs.get("privateSubnetIds") or [])
    return both.apply(lambda lists: [*lists[0], *lists[1]])


def _upgrade(given: Any) -> Any:
    if given is None:
        return None
    if isinstance(given, pulumi.Output):
        return given.apply(lambda policy: {"support_type": policy["supportType"]})
    return {"support_type": given["supportType"]}


def _issuer(cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    return cluster.identities.apply(lambda found: str(found[0].oidcs[0].issuer) if found and found[0].oidcs else "")
