"""The network under an EKS cluster: a VPC over two or three zones, private nodes, endpoints and flow logs."""

import ipaddress
from dataclasses import dataclass
from typing import Literal

import pulumi
import pulumi_aws as aws

from components.aws_roles import ServiceRole, ServiceRoleArgs, allow
from components.aws_scope import AwsScope


@dataclass(frozen=True, kw_only=True)
class Subnets:
    """The address ranges of one zone."""

    private: str
    public: str


def subnets(cidr: str, zones: tuple[str, ...]) -> dict[str, Subnets]:
    """Cut a network for up to three zones: a quarter each for nodes and pods, a sixteenth each for load balancers.

    A third zone can be added later without moving the first two.
    """
    if not 1 <= len(zones) <= 3:
        raise ValueError(f"zones: {len(zones)} do not fit; a network is cut for one to three")
    *private, rest = ipaddress.ip_network(cidr).subnets(prefixlen_diff=2)
    public = list(rest.subnets(prefixlen_diff=2))
    return {zone: Subnets(private=str(private[i]), public=str(public[i])) for i, zone in enumerate(zones)}


@dataclass(frozen=True, kw_only=True)
class AwsNetworkArgs:
    """`nat`: a NAT gateway in each zone, or a single one for all. `cluster_name` may own the subnets' balancers."""

    scope: AwsScope
    cluster_name: str
    cidr: str
    zones: tuple[str, ...]
    nat: Literal["zone", "single"]
    log_retention_days: int


class AwsNetwork(pulumi.ComponentResource):
    """The network. `routes` is what has to exist before a private node can reach anything."""

    vpc_id: pulumi.Output[str]
    private_subnets: dict[str, pulumi.Output[str]]  # zone → id
    public_subnets: dict[str, pulumi.Output[str]]  # zone → id
    routes: tuple[pulumi.Resource, ...]

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("llmops:index:AwsNetwork", name, {}, opts)
        self._name, self._args, self._child = name, args, pulumi.ResourceOptions(parent=self)
        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_hostnames=True,  # for the interface endpoints' private names
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        self.vpc_id = vpc.id
        self._flow_logs()
        gateway = aws.ec2.InternetGateway(
            f"{name}-internet", vpc_id=vpc.id, tags=self._tags("internet"), opts=self._child
        )
        public_table = self._table("public")
        self._route("public", public_table, gateway_id=gateway.id)
        cut = subnets(args.cidr, args.zones)
        public = {zone: self._subnet(zone, "public", cut[zone].public, public_table) for zone in args.zones}
        nats = {
            zone: self._nat(zone, public[zone], gateway)
            for zone in (args.zones if args.nat == "zone" else args.zones[:1])
        }
        private: dict[str, aws.ec2.Subnet] = {}
        tables: list[aws.ec2.RouteTable] = []
        routes: list[pulumi.Resource] = []
        for zone in args.zones:
            table = self._table(f"private-{zone}")
            tables.append(table)
            routes.append(self._route(f"private-{zone}", table, nat_gateway_id=nats.get(zone, nats[args.zones[0]]).id))
            private[zone] = self._subnet(zone, "private", cut[zone].private, table)
        self.public_subnets = {zone: subnet.id for zone, subnet in public.items()}
        self.private_subnets = {zone: subnet.id for zone, subnet in private.items()}
        self.routes = (*routes, *self._endpoints(tables))
        self.register_outputs({"vpcId": self.vpc_id})

    def _tags(self, part: str, more: dict[str, str] | None = None) -> dict[str, str]:
        return {"Name": self._args.scope.naming.of("aws:security-group", part), **(more or {})}

    def _table(self, part: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{self._name}-{part}-routes", vpc_id=self.vpc_id, tags=self._tags(part), opts=self._child
        )

    def _route(
        self,
        part: str,
        table: aws.ec2.RouteTable,
        *,
        gateway_id: pulumi.Input[str] | None = None,
        nat_gateway_id: pulumi.Input[str] | None = None,
    ) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{self._name}-{part}-default",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway_id,
            nat_gateway_id=nat_gateway_id,
            opts=self._child,
        )

    def _subnet(
        self, zone: str, kind: Literal["public", "private"], cidr: str, table: aws.ec2.RouteTable
    ) -> aws.ec2.Subnet:
        # How the load-balancer controller finds where internal and internet-facing balancers go.
        role = {"private": "kubernetes.io/role/internal-elb", "public": "kubernetes.io/role/elb"}[kind]
        subnet = aws.ec2.Subnet(
            f"{self._name}-{kind}-{zone}",
            vpc_id=self.vpc_id,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,  # NAT gateways and load balancers bring addresses of their own
            tags=self._tags(
                f"{kind}-{zone}", {role: "1", f"kubernetes.io/cluster/{self._args.cluster_name}": "shared"}
            ),
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(
            f"{self._name}-{kind}-{zone}-routes", subnet_id=subnet.id, route_table_id=table.id, opts=self._child
        )
        return subnet

    def _nat(self, zone: str, subnet: aws.ec2.Subnet, gateway: aws.ec2.InternetGateway) -> aws.ec2.NatGateway:
        # An address cannot be given back while the internet gateway that carries it is gone, nor a NAT gateway work.
        after = pulumi.ResourceOptions(parent=self, depends_on=[gateway])
        address = aws.ec2.Eip(
            f"{self._name}-nat-{zone}-address", domain="vpc", tags=self._tags(f"nat-{zone}"), opts=after
        )
        return aws.ec2.NatGateway(
            f"{self._name}-nat-{zone}",
            subnet_id=subnet.id,
            allocation_id=address.allocation_id,
            tags=self._tags(f"nat-{zone}"),
            opts=after,
        )

    def _endpoints(self, tables: list[aws.ec2.RouteTable]) -> list[pulumi.Resource]:
        """Images, model weights and credentials stay inside AWS: cheaper than NAT, and not its bottleneck."""
        region = self._args.scope.region
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            name=self._args.scope.naming.of("aws:security-group", "endpoints"),
            description="Interface endpoints: HTTPS from the network",
            vpc_id=self.vpc_id,
            ingress=[{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": [self._args.cidr]}],
            tags=self._tags("endpoints"),
            opts=self._child,
        )
        s3 = aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{region}.s3",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )
        return [
            s3,
            *(
                aws.ec2.VpcEndpoint(
                    f"{self._name}-{service.replace('.', '-')}",
                    vpc_id=self.vpc_id,
                    vpc_endpoint_type="Interface",
                    service_name=f"com.amazonaws.{region}.{service}",
                    private_dns_enabled=True,
                    subnet_ids=list(self.private_subnets.values()),
                    security_group_ids=[group.id],
                    tags=self._tags(service),
                    opts=self._child,
                )
                for service in ("ecr.api", "ecr.dkr", "sts")
            ),
        ]

    def _flow_logs(self) -> None:
        scope = self._args.scope
        logs = aws.cloudwatch.LogGroup(
            f"{self._name}-flows",
            name=f"/llmops/{scope.naming.of('aws:log-group', 'flows')}",
            retention_in_days=self._args.log_retention_days,
            opts=self._child,
        )
        role = ServiceRole(
            f"{self._name}-flows",
            ServiceRoleArgs(
                scope=scope,
                part="flow-logs",
                service="vpc-flow-logs.amazonaws.com",
                statements=(
                    allow(
                        ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                        [pulumi.Output.concat(logs.arn, ":*")],  # the group's streams, and no other group's
                    ),
                    # Describing log groups cannot be limited to one.
                    # docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatchlogs.html
                    allow(["logs:DescribeLogGroups"], "*"),
                ),
            ),
            opts=self._child,
        )
        aws.ec2.FlowLog(
            f"{self._name}-flow-log",
            vpc_id=self.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=logs.arn,
            iam_role_arn=role.role.arn,
            max_aggregation_interval=600,  # seconds; 60 would cost up to ten times as much
            tags=self._tags("flows"),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*role.ready]),
        )
