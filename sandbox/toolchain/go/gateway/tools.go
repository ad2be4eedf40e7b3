//go:build tools

// Package tools pins the programs of this family; sandbox/toolchain builds them by import path.
package tools

import (
	_ "github.com/envoyproxy/gateway/cmd/envoy-gateway"
	_ "helm.sh/helm/v3/cmd/helm"
	_ "sigs.k8s.io/gateway-api-inference-extension/cmd/epp"
)
