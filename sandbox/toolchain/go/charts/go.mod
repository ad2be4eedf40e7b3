module llmops/sandbox/toolchain/charts

go 1.27.0

// Never built: downloaded for the charts and CRDs that lie in them.
require (
	github.com/aws/karpenter-provider-aws v1.15.0
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.85.0
	go.universe.tf/metallb v0.16.1
	sigs.k8s.io/external-dns v0.23.0
	sigs.k8s.io/lws v0.9.0
)
