//go:build tools

// Package tools pins the programs of this family; sandbox/toolchain builds them by import path.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
