"""The EKS add-ons that the component declares unless it is told not to."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

# addons/cni-addon.ts, computeEnv without options.
CNI_ENVIRONMENT = {
    "WARM_ENI_TARGET": "1",
    "AWS_VPC_K8S_CNI_LOGLEVEL": "DEBUG",
    "AWS_VPC_K8S_CNI_LOG_FILE": "/host/var/log/aws-routed-eni/ipamd.log",
    "AWS_VPC_K8S_CNI_VETHPREFIX": "eni",
    "AWS_VPC_ENI_MTU": "9001",
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL": "DEBUG",
    "AWS_VPC_K8S_PLUGIN_LOG_FILE": "/var/log/aws-routed-eni/plugin.log",
    "ENABLE_POD_ENI": "false",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT": "false",
}
CNI_INIT = {"DISABLE_TCP_EARLY_DEMUX": "false"}
CNI_OPTIONS = frozenset({"addonVersion", "configurationValues", "serviceAccountRoleArn"})


def kube_proxy(name: str, inputs: dict[str, Any], cluster: aws.eks.Cluster, opts: pulumi.ResourceOptions) -> None:
    """On, unless kubeProxyAddonOptions says otherwise."""
    options: dict[str, Any] = inputs.get("kubeProxyAddonOptions") or {}
    if options.get("enabled", True) is not False:
        _addon(f"{name}-kube-proxy", "kube-proxy", options, cluster, inputs.get("tags"), opts)


def coredns(name: str, inputs: dict[str, Any], cluster: aws.eks.Cluster, opts: pulumi.ResourceOptions) -> None:
    """Off without a default node group, unless corednsAddonOptions asks for it."""
    options: dict[str, Any] = inputs.get("corednsAddonOptions") or {}
    if options.get("enabled") is True or (options.get("enabled") is None and options.get("configurationValues")):
        _addon(f"{name}-coredns", "coredns", options, cluster, inputs.get("tags"), opts)


def vpc_cni(name: str, inputs: dict[str, Any], cluster: aws.eks.Cluster, opts: pulumi.ResourceOptions) -> None:
    """On, unless useDefaultVpcCni."""
    if inputs.get("useDefaultVpcCni"):
        return
    options: dict[str, Any] = inputs.get("vpcCniOptions") or {}
    if unread := sorted({key for key, value in options.items() if value is not None} - CNI_OPTIONS):
        raise pulumi.RunError(f"vpcCniOptions.{unread[0]} has no rule in the stand-in's eks.Cluster.")
    component = pulumi.ComponentResource("eks:index:VpcCniAddon", f"{name}-vpc-cni", {}, opts)
    values = dict(options.get("configurationValues") or {})
    values["env"] = {**CNI_ENVIRONMENT, **(values.get("env") or {})}
    values.setdefault("init", {"env": CNI_INIT})
    child = pulumi.ResourceOptions(parent=component)
    made = _addon(
        f"{name}-vpc-cni",
        "vpc-cni",
        {
            "version": options.get("addonVersion"),
            "configurationValues": values,
            "serviceAccountRoleArn": options.get("serviceAccountRoleArn"),
        },
        cluster,
        inputs.get("tags"),
        child,
    )
    component.register_outputs({"addon": made})


def _addon(
    name: str, addon: str, options: dict[str, Any], cluster: aws.eks.Cluster, tags: Any, opts: pulumi.ResourceOptions
) -> aws.eks.Addon:
    values = options.get("configurationValues")
    version = options.get("version") or aws.eks.get_addon_version_output(
        addon_name=addon,
        kubernetes_version=cluster.version,
        most_recent=True,
        opts=pulumi.InvokeOutputOptions(parent=opts.parent),
    ).apply(lambda found: found.version)
    return aws.eks.Addon(
        name,
        cluster_name=cluster.name,
        addon_name=addon,
        preserve=True,
        tags=tags,
        resolve_conflicts_on_create=options.get("resolveConflictsOnCreate") or "OVERWRITE",
        resolve_conflicts_on_update=options.get("resolveConflictsOnUpdate") or "OVERWRITE",
        addon_version=version,
        service_account_role_arn=options.get("serviceAccountRoleArn"),
        configuration_values=json.dumps(values, sort_keys=True) if values else None,
        opts=opts,
    )
